"""Networks in files, and for other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.networks import sizing
from fastnn.networks.attributes import Attributes

# What writes and reads is loaded when that is done.
if TYPE_CHECKING:
    from fastnn._utils.archive import Contents
    from fastnn._utils.files import File
    from fastnn.exchange.state_dict import Incompatible


class Exchange(Attributes):
    """Files of a network, and forms of it for other libraries."""

    def save(self, path: File) -> None:
        """Write the network to a file, from which :func:`fastnn.load` makes it again.

        The file is an npz archive without pickles: parameters, running statistics of batch
        normalisation, what chooses the next dropout masks, and the settings of the
        constructor. It takes the place of one before only when it is whole. Of a layer of your
        own it has what that names as parameters. A training that is to go on needs more: see
        :class:`fastnn.callbacks.Checkpoint`.

        A file whose name ends in ".safetensors" has the same in that format: other libraries find
        what :meth:`state_dict` returns in it, and the rest is in its metadata.

        Parameters
        ----------
        path : str, path or file object
            A name is taken as it is; ".npz" is usual. A file object, open for writing bytes, is
            written to as it stands, an archive: it is not whole if there is an error.
        """
        from fastnn._utils import archive
        from fastnn.networks import tensor_files

        if tensor_files.is_named_so(path):
            tensor_files.write(path, self)
        else:
            archive.write(path, *self._parts())

    def load(self, path: File) -> None:
        """Bring this network to what :meth:`save`, or a checkpoint, has written.

        For a network that :func:`fastnn.load` cannot build, such as one with layers of your own,
        and for one that others hold on to: parameters are written in place. Weight decay, ratios
        of dropout and settings of batch normalisation become those of the file too.

        A safetensors file that another library has written is loaded as
        ``load_state_dict`` loads a dict: its names must be those of :meth:`state_dict`.

        Parameters
        ----------
        path : str, path or file object
            As for :func:`fastnn.load`.

        Raises
        ------
        ValueError
            If the file is not of this version of fastnn, or of a network with other layers,
            sizes, dtype, loss or `input_scale`; nothing has been changed then.
        FileNotFoundError
            If there is no such file.
        """
        from fastnn.networks import tensor_files

        found = tensor_files.read(path)
        if isinstance(found, tensor_files.Foreign):
            self._take_arrays(found.arrays, strict=True, source=f"path ({found.source})")
        else:
            self._restore(found)

    def state_dict(self) -> dict[str, Array]:
        """Return the arrays of the network by PyTorch's names, in its orientation.

        Names are those of a ``torch.nn.Sequential`` that does the same. The layers of a list, and
        those of the book's networks, are numbered: 0.weight, 0.bias, 2.weight, ... An affine layer
        of images counts as two, as modules have to flatten them before, and so do `AffineRelu` and
        `BatchNormRelu`. Layers that you have named in a dict keep their names.

        Returns
        -------
        dict of str to ndarray
            Copies. The weights of an affine layer have shape (H, D), a row for each output. Batch
            normalisation has weight, bias, running_mean, running_var (biased, as ours is) and
            num_batches_tracked, which is 0, as nobody counts.

        Raises
        ------
        RuntimeError
            If sizes are not known yet.

        Examples
        --------
        >>> from fastnn import MultiLayerNet
        >>> {name: array.shape for name, array in MultiLayerNet(4, [8], 3).state_dict().items()}
        {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
        """
        from fastnn.exchange import state_dict

        return state_dict.state_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Incompatible:
        """Write arrays by PyTorch's names, such as a module's ``state_dict()``, into the network.

        They are converted to the network's dtype and written in place. A network whose sizes are
        not known takes them from the weights, if its first layer with parameters is an affine one.

        Parameters
        ----------
        state_dict : mapping of str to array_like or tensor
            Names and shapes as :meth:`state_dict` has them. num_batches_tracked may be there and
            is not used.
        strict : bool
            Whether the dict must have all names of the network and no others.

        Returns
        -------
        Incompatible
            The names that only one of them has, in `missing_keys` and `unexpected_keys`.

        Raises
        ------
        ValueError
            If shapes differ, or, where it is `strict`, names; the message lists all of them. If a
            running variance is negative. Nothing has been changed then.
        TypeError
            If a value is no array of real numbers.
        RuntimeError
            If sizes are not known, nor told by the weights: those of images before a convolution.
        """
        flag = numbers.flag("strict", strict)
        return self._take_arrays(state_dict, flag, source="state_dict")

    def _take_arrays(self, arrays: Any, strict: bool, source: str) -> Incompatible:
        """Write arrays by PyTorch's names into the network, which they may give its sizes."""
        from fastnn.exchange.state_dict import features_of, load_state_dict

        with sizing.sized_as(self, features_of(self, arrays)):
            return load_state_dict(self, arrays, strict, source)

    def to_onnx(
        self,
        path: File,
        *,
        softmax: bool = False,
        sigmoid: bool = False,
        input_name: str = "input",
        output_name: str = "output",
    ) -> None:
        """Write the network to an ONNX file, which other programs run: what :meth:`predict` does.

        It takes samples of float32, any number of them, of shape (batch, ...), and has
        `input_scale` in it. Operators are those of ONNX's set 17. Needs the extra "onnx".

        Parameters
        ----------
        path : str, path or file object
            A file takes the place of one before only when it is whole. A file object, open for
            writing bytes, is written to as it stands.
        softmax : bool
            Whether the output is probabilities, not the scores before softmax.
        sigmoid : bool
            Whether the output is the probability of each yes, not the scores before the sigmoid:
            for networks with the logistic loss.
        input_name, output_name : str
            What they are called in the file.

        Raises
        ------
        ImportError
            If the package onnx is missing; it says how to install it.
        ValueError
            If a layer is one of your own, which is named; if probabilities are asked for that are
            not those of the network's loss; or if the file would have 2 GiB.
        TypeError
            If the network is of float64.
        RuntimeError
            If sizes are not known yet.

        Examples
        --------
        >>> import tempfile, os
        >>> from fastnn import MultiLayerNet
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     MultiLayerNet(4, [8], 3).to_onnx(os.path.join(folder, "net.onnx"), softmax=True)
        """
        from fastnn.exchange import onnx_file

        activation = onnx_file.activation_of(self, softmax, sigmoid)
        onnx_file.write(path, [self], activation, input_name, output_name, repr(self))

    def to_torch(self) -> Any:
        """Return a ``torch.nn.Sequential`` that computes what :meth:`predict` does.

        Its modules are such that its ``state_dict()`` has the names of :meth:`state_dict`; the
        arrays are copies. What is not in ``params`` needs no gradient there. It is in evaluation
        mode. Needs PyTorch.

        Returns
        -------
        torch.nn.Sequential

        Raises
        ------
        ValueError
            If there is no module for a layer, which is named: one of your own, dropout of the
            book's form, batch normalisation of pixels; or if `input_scale` is not 1.
        RuntimeError
            If sizes are not known yet.
        """
        from fastnn.exchange.modules import sequential

        return sequential(self)

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the facts and the groups of arrays that a file of the network has."""
        from fastnn.networks import saved

        return saved.parts(self)

    def _restore(self, contents: Contents) -> None:
        """Bring the network to what :meth:`_parts` returned; raise before if they do not fit."""
        from fastnn.networks import saved

        saved.put(self, contents)
