"""What PyInstaller cannot see: modules that load at first use, and files beside them."""

from PyInstaller.utils.hooks import (
    collect_data_files,
    collect_dynamic_libs,
    collect_submodules,
    copy_metadata,
)

# Benchmarks compare with other libraries, which a program would have to carry too.
hiddenimports = collect_submodules(
    "fastnn", filter=lambda name: not name.startswith(("fastnn._bench", "fastnn._pyinstaller"))
)
datas = collect_data_files("fastnn") + copy_metadata("fastnn-kernels")
binaries = collect_dynamic_libs("fastnn", search_patterns=["*.so"])  # machine code made ahead
