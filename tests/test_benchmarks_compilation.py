"""What reads compiled kernels, on kernels whose faults and merits are known: it must see both."""

from dataclasses import replace

import pytest

pytest.importorskip("triton")

from benchmarks import instructions
from benchmarks.compilation import compile_all
from benchmarks.compiled import faults
from benchmarks.traffic import traffic
from ltc_kernels.gpu.targets import TARGETS

MATRIX = {"sm_80": "HMMA", "sm_90": "HGMMA", "sm_100": "UTCHMMA", "gfx942": "v_mfma_f32_32x32x8"}
everywhere = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture(scope="module")
def toys():
    return {str(one): one for one in compile_all("kernels.toys")}


@everywhere
def test_a_kernel_that_spills_is_seen_to_spill(toys, target):
    one = toys[f"spills on {target}"]
    assert one.spills > 20
    assert one.stack > 20
    assert one.registers == (512 if target == "gfx942" else 255)
    assert len(faults(one)) == 2


@everywhere
def test_a_kernel_that_does_not_is_seen_not_to(toys, target):
    one = toys[f"wide loads on {target}"]
    assert one.spills == one.stack == 0
    assert 10 < one.registers < 64
    assert faults(one) == []
    hungry = replace(one, target=replace(one.target, shared_memory=one.shared - 1, registers=32))
    assert [fault.partition(": ")[2] for fault in faults(hungry)] == [
        f"{one.shared} bytes of shared memory",
        f"{one.registers * one.threads} registers per program",
    ]


@everywhere
def test_the_width_of_loads_is_seen(toys, target):
    """Rows that may begin anywhere are read value by value."""
    wide, narrow = (toys[f"{name} loads on {target}"].code for name in ("wide", "narrow"))
    assert set(wide.widths("load")) == {16}
    assert set(narrow.widths("load")) == {2}
    assert set(wide.widths("store")) <= {8, 16}
    assert set(narrow.widths("store")) == {4}


@everywhere
@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_a_loop_reads_each_value_once(toys, target, kind):
    """Whole rows of 2048 float16 values, however many the compiler takes at a time."""
    one = toys[f"{kind} loads on {target}"]
    sizes = [one.code.widths("load", loop) for loop in one.code.loops]
    rows = [sum(w * n for w, n in size.items()) * one.threads / (2 * 2048) for size in sizes]
    assert rows
    assert all(number >= 1 and number == int(number) for number in rows)


@everywhere
@pytest.mark.parametrize("times", [1, 3])
def test_products_on_tensor_cores_are_counted(toys, target, times):
    one = toys[f"{times} products on {target}"]
    assert all(opcode.startswith(MATRIX[target]) for opcode in one.code.opcodes("matrix"))
    (loop,) = (loop for loop in one.code.loops if one.code.count("matrix", loop))
    assert one.multiplications(loop) == times * 128 * 128 * 64
    assert (one.tensor_memory > 0) == (target == "sm_100")
    assert not toys[f"wide loads on {target}"].code.opcodes("matrix")


SIZES = {"num_rows": 90, "num_columns": 1_281_167, "stride": 1_281_216, "size": 256}


@everywhere
def test_bytes_are_traced_to_arguments(toys, target):
    moved = traffic(toys[f"narrow loads on {target}"].texts["ttir"], SIZES)
    assert moved.loaded == {"x": 90 * 2048 * 2}
    assert moved.stored == {"out": 2048 * 4}
    assert moved.operations == {"f32": 90 * 2048}
    assert not moved.multiplied


@everywhere
@pytest.mark.parametrize("times", [1, 3])
def test_multiplications_are_counted_with_their_type(toys, target, times):
    moved = traffic(toys[f"{times} products on {target}"].texts["ttir"], SIZES)
    assert moved.multiplied == {"f16": times * 128 * 128 * 256}
    assert moved.loaded == {"x": 128 * 256 * 2, "y": 128 * 256 * 2}


IR = """module {
  tt.func public @k(%p: !tt.ptr<f32> loc("p"(#loc1)), %q: !tt.ptr<i64>, %n: i32) {
    %c2 = arith.constant 2 : i32 loc(#loc)
    %c0 = arith.constant 0 : i32
    %id = tt.get_program_id x : i32
    %more = arith.cmpi slt, %id, %n : i32
    %x:2 = scf.for %i = %c0 to %n step %c2 iter_args(%a = %p, %b = %c0) -> (i32) {
      %next = tt.addptr %a, %i : !tt.ptr<f32>, i32
      %r = "tt.reduce"(%z) <{axis = 0 : i32}> ({
      ^bb0(%u: f32, %v: f32):
        %w = arith.addf %u, %v : f32
        tt.reduce.return %w : f32
      }) : (tensor<8xf32>) -> f32
      %sum = arith.addi %b, %c2 : i32
      scf.yield %next, %sum : !tt.ptr<f32>, i32
    }
    %y = scf.if %more -> (i32) {
      %l = tt.load %x#0 : !tt.ptr<f32>
      %none = arith.cmpi sgt, %id, %n : i32
      %all = tt.splat %none : i1 -> tensor<4xi1>
      %mask = arith.andi %unknown, %all : tensor<4xi1>
      %u = tt.splat %p : !tt.ptr<f32> -> tensor<4x!tt.ptr<f32>>
      %s = tt.load %u, %mask, %z : tensor<4x!tt.ptr<f32>>
      scf.yield %x#1 : i32
    } else {
      %t = tt.splat %q : !tt.ptr<i64> -> tensor<4x!tt.ptr<i64>>
      tt.store %t, %z : tensor<4x!tt.ptr<i64>>
      scf.yield %c0 : i32
    }
    scf.for %i = %c0 to %y step %c2 : i32 {
      %o = tt.atomic_rmw add, acq_rel, gpu, %q, %n, %m : (!tt.ptr<i64>, i32, i1) -> i32
    }
    tt.return
  }
}"""


def test_loops_and_branches_are_followed():
    """Five steps of the first loop make 10, so the second has five as well."""
    walked = traffic(IR, {"n": 9})
    assert walked.loaded == {"p": 4, "q": 5 * 8}
    assert walked.stored == {"q": 5 * 8}
    beyond = traffic(IR, {"n": 9}, program=(9, 0, 0))
    assert beyond.loaded == {}
    assert beyond.stored == {"q": 4 * 8}


def test_what_depends_on_memory_is_left_out_and_counted():
    assert traffic(IR, {"n": 9}).unknown == {}
    from_memory = traffic(IR.replace("arith.cmpi slt, %id, %n", "arith.fptosi %f"), {"n": 9})
    assert from_memory.loaded == {}
    assert from_memory.stored == {"q": 4 * 8}
    assert from_memory.unknown == {"scf.if %more -> (i32) {": 1}
    assert len(traffic(IR, {}).unknown) == 2  # the first loop too
    search = IR.replace(
        "    tt.return",
        """    %w = scf.while (%i = %c0) : (i32) -> i32 {
      %go = tt.load %p : !tt.ptr<f32>
      scf.condition(%go) %i : i32
    } do {
    ^bb0(%i: i32):
      tt.store %p, %z : !tt.ptr<f32>
      scf.yield %i : i32
    }
    tt.return""",
    )
    walked = traffic(search, {"n": 9})
    assert walked.unknown == {"scf.while (%i = %c0) : (i32) -> i32 {": 1}
    assert (walked.loaded, walked.stored) == (traffic(IR, {"n": 9}).loaded, {"q": 5 * 8})


def test_long_loops_are_walked_in_samples():
    loop = IR.replace("      %sum =", "      tt.store %q, %i : !tt.ptr<i64>\n      %sum =")
    assert traffic(loop, {"n": 9}).stored["q"] == (5 + 5) * 8
    longer = traffic(loop, {"n": 100_000})
    assert longer.stored["q"] == 50_000 * 8
    assert longer.loaded == {"p": 4}
    # Steps that differ are all walked: the first is masked.
    first = IR.replace(
        "      %sum =",
        "      %go = arith.cmpi sgt, %i, %c0 : i32\n"
        "      tt.store %q, %i, %go : !tt.ptr<i64>\n      %sum =",
    )
    assert traffic(first, {"n": 1000}).stored["q"] == (499 + 500) * 8


def test_memory_of_nobody_is_an_error():
    with pytest.raises(ValueError, match=r"whose memory this is: tt\.load %unknown"):
        traffic(IR.replace("tt.load %x#0", "tt.load %unknown"), {"n": 9})


def branches(*pairs):
    """Instructions of which some branch: (target, falls through)."""
    return tuple(instructions.Instruction("X", "", *pair) for pair in pairs)


def test_loops_are_found_and_code_out_of_line_is_none():
    plain, back = (None, True), (1, True)
    assert instructions.natural_loops(branches(plain, plain, back, (None, False))) == [{1, 2}]
    # 0 leads out of line to 4, which jumps back to 2: no loop, as 1 leads there too.
    out_of_line = branches(plain, (4, True), plain, (None, False), plain, (2, False))
    assert instructions.natural_loops(out_of_line) == []


def test_an_inner_loop_comes_first():
    nested = branches((None, True), (None, True), (2, True), (1, True), (None, False))
    assert instructions.natural_loops(nested) == [{2}, {1, 2, 3}]


def test_sass_is_read_with_its_branches():
    text = """[{}, [{"function-name": "k", "start": 64, "sass-instructions": [
        {"opcode": "LDG.E.128.CONSTANT", "operands": "R4,desc[UR4][R2.64]"},
        {"opcode": "BRA", "operands": "0x40", "predicate": "@P0"},
        {"opcode": "BRA.U", "operands": "UP0,0x70"},
        {"opcode": "EXIT"}]}]]"""
    code = instructions.sass(text)
    assert [one.target for one in code.instructions] == [None, 0, 3, None]
    assert [one.falls_through for one in code.instructions] == [True, True, True, False]
    assert code.loops == [{0, 1}]
    assert code.widths("load") == {16: 1}


def test_amd_assembly_is_read_with_its_branches():
    text = """
kernel:                 ; comment
\t.p2align 2
.LBB0_1:                ; %loop
\tglobal_load_dwordx4 v[0:3], v[4:5], off
\tbuffer_load_ushort v1, v2, s[0:3], 0 offen
\ts_cbranch_scc0 .LBB0_1
\tscratch_store_dword off, v0, s32
\ts_endpgm
\t.section\t.rodata,"a",@progbits
\tnot_an_instruction 1
"""
    code = instructions.amdgcn(text)
    assert len(code.instructions) == 5
    assert code.loops == [{0, 1, 2}]
    assert code.widths("load") == {16: 1, 2: 1}
    assert code.count("local") == 1
