"""Matrix products.

`microkernel` computes one tile of C in registers, with bias and ReLU; `multiply` goes over C tile
by tile, in blocks that stay in the caches; `packing` copies operands into the order in which tiles
read them, and says when that pays; `zeros` finds what can be skipped because A is zero there;
`dots` does products of few rows as scalar products; `product` is the product that other kernels
call by its address; `workspace` keeps the memory to pack into. Sizes of tiles and blocks, and from
where on packing pays, stand in :mod:`fastnn.kernels.tuning`.
"""
