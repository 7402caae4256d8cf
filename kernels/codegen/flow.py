"""Functions, calls and control flow, written as LLVM IR: what the builder takes many lines for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

I32 = ir.IntType(32)
I64 = ir.IntType(64)
BIT = ir.IntType(1)


def machine_of(context: Any) -> str:
    """Return the triple of the machine that code is made for."""
    return str(context.codegen().magic_tuple()[0])


def declare(module: ir.Module, name: str, result: ir.Type, args: Sequence[ir.Type]) -> ir.Function:
    """Return the function of that name, declared in the module if it was not."""
    function = module.globals.get(name)
    return function or ir.Function(module, ir.FunctionType(result, args), name)


def function(
    module: ir.Module,
    name: str,
    n_args: int,
    emit: Callable[[ir.IRBuilder, Sequence[ir.Value]], None],
) -> ir.Function:
    """Return the function of that name, of integers, emitted into the module if it was not."""
    found = module.globals.get(name)
    if found is None:
        found = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * n_args), name)
        found.linkage = "internal"
        found.attributes.add("noinline")
        builder = ir.IRBuilder(found.append_basic_block("entry"))
        emit(builder, found.args)
        builder.ret_void()
    return found


def call_one(
    builder: ir.IRBuilder,
    key: ir.Value,
    functions: Mapping[int, ir.Function],
    args: Sequence[ir.Value],
) -> None:
    """Emit a call of the function with that key, of none if there is none."""
    done = builder.append_basic_block("called")
    switch = builder.switch(key, done)
    for number, function in functions.items():
        block = builder.append_basic_block("call")
        switch.add_case(I64(number), block)
        with builder.goto_block(block):
            builder.call(function, args)
            builder.branch(done)
    builder.position_at_end(done)


@contextmanager
def loop(builder: ir.IRBuilder, count: ir.Value, state: list[ir.Value]) -> Iterator[list[Any]]:
    """Emit a loop of `count` rounds, none if it is not positive, over values in registers.

    Yields the list of values at the start of a round; the body replaces them by those at its
    end. After the ``with`` block the list holds the values after the last round.
    """
    before = builder.block
    body = builder.append_basic_block("loop")
    done = builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", count, I64(0)), body, done)
    builder.position_at_end(body)
    counter = builder.phi(I64)
    phis = [builder.phi(value.type) for value in state]
    carried: list[Any] = list(phis)
    yield carried
    after = builder.add(counter, I64(1))
    end = builder.block
    counter.add_incoming(I64(0), before)
    counter.add_incoming(after, end)
    for phi, first, last in zip(phis, state, carried, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, end)
    builder.cbranch(builder.icmp_signed("<", after, count), body, done)
    builder.position_at_end(done)
    for i, (first, last) in enumerate(zip(state, list(carried), strict=True)):
        merged = builder.phi(first.type)
        merged.add_incoming(first, before)
        merged.add_incoming(last, end)
        carried[i] = merged


@contextmanager
def when(builder: ir.IRBuilder, condition: ir.Value, state: list[ir.Value]) -> Iterator[None]:
    """Emit a block that runs under a condition and may replace values of the list `state`."""
    before, first = builder.block, list(state)
    with builder.if_then(condition):
        yield
        end = builder.block
    for i, value in enumerate(first):
        if state[i] is not value:
            merged = builder.phi(value.type)
            merged.add_incoming(state[i], end)
            merged.add_incoming(value, before)
            state[i] = merged
