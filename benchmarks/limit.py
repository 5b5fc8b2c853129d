"""The hardware limit: what the kernel's vectorized loops ask of the multiply-add ports, and what these ports deliver.

Counted in the assembly that numba made of `kernel.advance`, in the innermost loops of the widest vectors:

- port: multiplications and fused multiply-adds. On the processors meant here they share two of the floating-point
  pipes (or one, at twice the width), while additions and comparisons have others: fewer cycles than port / rate cannot
  do, however well all else overlaps. A reciprocal estimate is not among them; the steps that refine it are.
- div: divisions and reciprocal estimates, reported beside it. A division keeps one pipe busy for several cycles, so that
  the limit from port alone is a little too kind to the hardware, and the fraction of it a little too strict to us.
- all: additions, subtractions, minima, maxima and comparisons as well. All over the rate of multiply-adds is no limit,
  since the other pipes take their share; it says what the limit would be if there were only these.

Moves, blends, masks and integer instructions are not counted. Operands from memory are free of charge.
"""

import ctypes
import re
from time import perf_counter
from typing import NamedTuple

import llvmlite.binding as llvm

BITS = {"z": 512, "y": 256, "x": 128}
PORT = re.compile(r"v(mul|fn?m(add|sub)\d*)p[sd]")
DIV = re.compile(r"v(div|rcp14|rcp)p[sd]")
ALL = re.compile(r"v(mul|fn?m(add|sub)\d*|div|rcp14|rcp|add|sub|min|max|cmp\w*?)p[sd]")
CHAINS = 12  # independent accumulators: more than the pipes (2) times the latency of a multiply-add (4)


class Loop(NamedTuple):
    """Vector instructions per node of a loop, the stores among them, and the width of its vectors in bits."""

    port: float
    div: float
    all: float
    stores: float
    bits: int


def innermost_loops(asm: str) -> list[list[str]]:
    """Instructions of every loop that is one basic block: from a label to a jump back to it with no label between."""
    loops, block = [], (None, [])
    for line in asm.splitlines():
        if label := re.match(r"(\.L\w+|[^\s.#][^\s:]*):", line):
            block = (label[1], [])
        elif instruction := re.match(r"\s+([a-z]\w+(\s.*)?)$", line.split("#")[0].rstrip()):
            text = instruction[1].strip()
            block[1].append(text)
            if (jump := re.match(r"j\w+\s+(\S+)", text)) and jump[1] == block[0]:
                loops.append([*block[1]])
    return loops


def nodes_per_pass(loop: list[str], store: str, itemsize: int) -> float:
    """Nodes that one pass of a loop covers: the step of the address of a store, over the size of a number."""
    base, index, scale = re.search(r"\((%\w+)?(?:,(%\w+)(?:,(\d))?)?\)", store).groups()
    for register, unit in ((index, int(scale or 1)), (base, 1)):
        steps = [re.match(rf"(add|sub)q\s+\$(-?\d+), {register}$", line) for line in loop] if register else []
        if steps := [int(step[2]) * (1 if step[1] == "add" else -1) for step in steps if step]:
            return steps[0] * unit / itemsize
    raise RuntimeError(f"hot loop: found no step of the address in {store!r}; the count of nodes needs one")


def vector_loops(asm: str, itemsize: int) -> list[Loop]:
    """The innermost loops that multiply vectors of the widest kind, each kind of loop once."""
    suffix, found = {4: "ps", 8: "pd"}[itemsize], set()
    for loop in innermost_loops(asm):
        packed = [line for line in loop if re.match(rf"v\w+{suffix}\s", line)]
        stores = [line for line in packed if re.match(r"vmov\w+\s+%[xyz]mm\d+, [^%]*\((?!%rsp)", line)]
        widths = [BITS[kind] for line in packed if ALL.match(line) for kind in re.findall(r"%([xyz])mm", line)]
        if stores and widths and any(PORT.match(line) for line in packed):
            counts = [sum(bool(what.match(line)) for line in packed) for what in (PORT, DIV, ALL)]
            nodes = nodes_per_pass(loop, stores[0], itemsize)
            lanes = max(widths) / 8 / itemsize
            if nodes <= 0 or (len(stores) * lanes) % nodes:
                raise RuntimeError(f"hot loop: {len(stores)} stores of {lanes:g} numbers do not cover {nodes:g} nodes")
            found.add(Loop(*(count / nodes for count in counts), len(stores) * lanes / nodes, max(widths)))
    return sorted(loop for loop in found if loop.bits == max(other.bits for other in found))


def kernel_counts(asm: str, itemsize: int = 4) -> dict[str, Loop]:
    """Instructions per node of the isotropic and the anisotropic kernel.

    Both consist of a loop that stores one number per node (the slow inward rate) and one that stores three (u, v, w); the
    anisotropic one is the one that multiplies more. A kernel that does all in one loop is understood, too.

    Raises:
        RuntimeError: These loops are not there, or there are more of them.
    """
    loops = vector_loops(asm, itemsize)
    rates, cells = [loop for loop in loops if loop.stores == 1], [loop for loop in loops if loop.stores == 3]
    if len(rates) > 1 or len(cells) != 2 or not (rates or cells[0].div):
        told = "\n".join(map(str, loops)) or "none: not vectorized?"
        raise RuntimeError(f"hot loops: expected one that stores 1 number per node and two that store 3, got\n{told}")
    rate = rates[0] if rates else Loop(0, 0, 0, 0, cells[0].bits)
    kinds = dict(zip(("isotropic", "anisotropic"), cells, strict=True))
    sums = {name: [a + b for a, b in zip(rate[:4], cell[:4], strict=True)] for name, cell in kinds.items()}
    return {name: Loop(*values, rate.bits) for name, values in sums.items()}


class Peak:
    """A loop of nothing but fused multiply-adds of vectors of ``bits``, in registers, compiled by the same LLVM."""

    def __init__(self, bits: int, passes: int = 4_000_000):
        self.passes, lanes = passes, bits // 32
        vector, chains = f"<{lanes} x float>", range(CHAINS)
        splat = [
            f"  %{name}1 = insertelement {vector} undef, float %{name}0, i32 0\n"
            f"  %{name} = shufflevector {vector} %{name}1, {vector} undef, <{lanes} x i32> zeroinitializer\n"
            for name in "xy"
        ]
        phi = [f"  %a{k} = phi {vector} [ %x, %entry ], [ %b{k}, %loop ]\n" for k in chains]
        fma = [
            f"  %b{k} = call {vector} @llvm.fma.v{lanes}f32({vector} %a{k}, {vector} %x, {vector} %y)\n" for k in chains
        ]
        total = [f"  %s{k} = fadd {vector} %b{k}, {f'%s{k - 1}' if k else '%x'}\n" for k in chains]
        module = llvm.parse_assembly(
            f"declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})\n"
            f"define float @peak(i64 %n, float %x0, float %y0) {{\nentry:\n{''.join(splat)}  br label %loop\nloop:\n"
            f"  %i = phi i64 [ 0, %entry ], [ %j, %loop ]\n{''.join(phi)}{''.join(fma)}"
            "  %j = add i64 %i, 1\n  %more = icmp slt i64 %j, %n\n  br i1 %more, label %loop, label %exit\n"
            f"exit:\n{''.join(total)}  %r = extractelement {vector} %s{CHAINS - 1}, i32 0\n  ret float %r\n}}\n"
        )
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
        machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=3)
        self.check(machine.emit_assembly(module), bits)
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()
        address = self.engine.get_function_address("peak")
        self.run = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float, ctypes.c_float)(address)

    @staticmethod
    def check(asm: str, bits: int) -> None:
        (loop,) = innermost_loops(asm)
        register = {size: kind for kind, size in BITS.items()}[bits]
        fma = [line for line in loop if re.match(rf"vfmadd\d+ps\s+(%{register}mm\d+(, )?){{3}}$", line)]
        if len(fma) != CHAINS or len(loop) > CHAINS + 4:
            raise RuntimeError(f"peak: expected {CHAINS} multiply-adds of {bits} bits and the loop's end, got {loop}")

    def rate(self) -> float:
        """Vector multiply-adds per ns."""
        start = perf_counter()
        self.run(self.passes, 0.5, 0.5)
        return CHAINS * self.passes / (1e9 * (perf_counter() - start))
