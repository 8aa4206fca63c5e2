"""`benchmarks.gpu_program`: what XLA says of a program is read and counted, and with the compiler there one is compiled."""

import json
import pathlib
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from benchmarks.gpu_program.__main__ import Args, compiled, main, table
from benchmarks.gpu_program.cards import CARDS, NODE_US, SYNCHRONISATION_US
from benchmarks.gpu_program.compile import COMPILER, PROGRAM_FILE, STAMP, environment
from benchmarks.gpu_program.counts import Counts, count, count_turn, floor_ms, large_copies, row, tree
from benchmarks.gpu_program.engines import SPEEDS, milliseconds
from benchmarks.gpu_program.engines import table as predicted_table
from benchmarks.gpu_program.thunks import empty_copies, known_turns, parse, read_thunks
from envs.command import UserError
from tests.benchmarks.small_programs import REPLAY_BYTES
from tests.runs import long_but

ACCOUNT = textwrap.dedent("""\
    001: kCopy         [source       | next=004 (3)] kCopy
    002: kCustomKernel [source       | next=004 (2)] loop_broadcast_fusion grid: [1, 1, 1] threads: [8, 1, 1]
    004: kWhile        [prev=003 (1) | next=426 (1)]
    condition:
        005: kCustomKernel [source | sink] loop_compare_fusion grid: [1, 1, 1] threads: [1, 1, 1]
      body:
        000: kCommandBuffer [source | sink]
            006: kCustomKernel [source | next=307 (108)] loop_compare_fusion_1 grid: [1, 1, 1]
            007: kCopy         [source | next=307 (108)] kCopy
            307: kConditional  [prev=113 (1)   | next=308 (1)  ]
              false_branch:
                114: kCustomKernel [source | next=200 (86)] loop_subtract_fusion_4
              true_branch:
                223: kCopy         [source        | next=224 (1) ] kCopy
                224: kCustomKernel [prev=223 (1)  | sink         ] gemm_fusion_dot
        400: kConditional  [prev=113 (1)   | next=308 (1)  ]
          branch_0:
            401: kCustomKernel [source | sink] loop_add_fusion
        402: kTriangularSolve [source | sink]
        403: kSequential [source | sink]    404: kCopy [source | sink]
    426: kHostSend [source | sink]
    """)


def test_what_is_indented_belongs_to_what_stands_above_it() -> None:
    thunks = parse(ACCOUNT)
    assert [thunk.kind for thunk in thunks] == ["kCopy", "kCustomKernel", "kWhile", "kHostSend"]
    loop = thunks[2]
    assert {label: [thunk.kind for thunk in part] for label, part in loop.parts.items()} == {
        "condition": ["kCustomKernel"],
        "body": ["kCommandBuffer", "kConditional", "kTriangularSolve", "kSequential"],
    }
    graph = loop.parts["body"][0]
    assert [thunk.kind for thunk in graph.parts[""]] == ["kCustomKernel", "kCopy", "kConditional"]
    assert list(graph.parts[""][2].parts) == ["false_branch", "true_branch"]


def test_a_turn_counts_its_larger_branch_and_what_the_host_reads() -> None:
    thunks = parse(ACCOUNT)
    turn = count_turn(thunks)
    assert turn == Counts(kernels=4, copies=3, calls=1, graphs=1, alone=4, host_loops=1, host_branches=1)
    assert (turn.nodes, turn.synchronisations) == (8, 2)
    everything = count(thunks)
    assert (everything.nodes, everything.unknown) == (10, ("kHostSend",))
    assert count_turn(thunks[:2]) == Counts(kernels=1, copies=1, alone=2)


def test_a_loop_within_a_graph_is_not_read_by_the_host() -> None:
    inside = "\n".join(["000: kCommandBuffer [source | sink]", *("    " + line for line in ACCOUNT.splitlines()[2:-1])])
    turn = count_turn(parse(inside.replace("    condition:", "condition:")))
    assert (turn.nodes, turn.synchronisations, turn.alone) == (8, 0, 0)


PROGRAM = textwrap.dedent("""\
    HloModule jit_gpu_program, is_scheduled=true

    %body.1 (p: (s32[])) -> (s32[]) {
      %while.3 = (s32[]) while(%t), condition=%none, body=%none, backend_config={"known_trip_count":{"n":"6"},"more":"x"}
      ROOT %a = (s32[]) tuple(%b)
    }

    %none (p: (s32[])) -> (s32[]) {
      ROOT %a = (s32[]) tuple(%b)
    }

    %graph (p: (s32[])) -> (s32[]) {
      %while.4 = (s32[]) while(%t), condition=%none, body=%none
      ROOT %a = (s32[]) tuple(%b)
    }

    ENTRY %main (p: (s32[])) -> (s32[]) {
      %while.1 = (s32[]) while(%t), condition=%none, body=%body.1, metadata={op_name="a/while"}
      %c = (s32[]) call(%t), to_apply=%graph
      %d = (s32[]) conditional(%p, %t, %t), true_computation=%body.1, false_computation=%none
      %e = (s32[]) conditional(%p, %t, %t), branch_computations={%none, %graph}
      ROOT %while.2 = (s32[]) while(%t), condition=%none, body=%none, backend_config={"known_trip_count":{"n":"2"}}
    }
    """)


def test_it_is_read_from_the_program_how_often_its_loops_run() -> None:
    assert known_turns(PROGRAM) == [None, 6, None, 6, None, 2]


def test_of_a_loop_whose_turns_are_known_the_host_reads_nothing(tmp_path: pathlib.Path) -> None:
    one = "%m (p: s32[]) -> s32[] {\n}\n\nENTRY %main (p: s32[]) -> s32[] {\n"
    one += '  %w = s32[] while(%p), condition=%m, body=%m, backend_config={"known_trip_count":{"n":"3"}}\n}\n'
    (tmp_path / "module.thunk_sequence.txt").write_text(ACCOUNT)
    thunks = read_thunks(tmp_path, one)
    assert (count_turn(thunks).nodes, count_turn(thunks).synchronisations) == (7, 1)  # the conditional
    assert (count(thunks).nodes, count(thunks).host_loops) == (2 + 3 * 7, 0)
    assert tree(thunks)[1].startswith("loop of 3 turns, body")
    with pytest.raises(ValueError, match="zip"):
        read_thunks(tmp_path, PROGRAM)


def test_copies_of_nothing_do_not_count() -> None:
    described = """
      thunk_info { profile_annotation: "copy.1"
        thunk_id: 1 }
      thunk_info { profile_annotation: "copy.7"
        thunk_id: 404 }
      thunk_info { profile_annotation: "copy.3"
        thunk_id: 223 }
    """
    program = (
        "%copy.1 = f32[4096,0,3]{2,1,0} copy(%a)\n%copy.7 = s32[0,2]{1,0} copy(%a)\n%copy.3 = f32[40,10]{1,0} copy(%a)\n"
    )
    assert (found := empty_copies(described, program)) == {1, 404}
    assert count(parse(ACCOUNT)).copies - count(parse(ACCOUNT, found)).copies == 2


def test_the_tree_has_a_line_for_each_graph_loop_and_branch() -> None:
    assert tree(parse(ACCOUNT)) == [
        "loop, read by the host, condition: 1 kernels, 0 copies, 0 calls",
        "loop, read by the host, body: 0 kernels, 0 copies, 1 calls",
        "  graph: 1 kernels, 1 copies, 0 calls",
        "    conditional in a graph, false_branch: 1 kernels, 0 copies, 0 calls",
        "    conditional in a graph, true_branch: 1 kernels, 1 copies, 0 calls",
        "  conditional, read by the host, branch_0: 1 kernels, 0 copies, 0 calls",
        "  kSequential: 0 kernels, 1 copies, 0 calls",
    ]


def test_copies_as_large_as_the_replay_are_found() -> None:
    text = "%a = f32[1000,8]{1,0} copy(%b)\n%c = pred[31999]{0} copy(%d)\n%e = f32[] copy(%f)\n"
    assert large_copies(text, 32_000) == 1
    assert large_copies(text, 31_999) == 2
    assert large_copies(text, 0) == 0  # there is no replay


def test_a_floor_is_the_time_of_all_nodes_and_waits() -> None:
    card = CARDS["H100"]
    floor = floor_ms(Counts(kernels=7, copies=3, host_loops=2), 1e12, 3.352e9, card)
    assert floor["launches"] == pytest.approx((10 * NODE_US + 2 * SYNCHRONISATION_US) / 1e3)
    assert floor["memory"] == pytest.approx(1.0)
    assert floor["arithmetic"] == pytest.approx(1e12 / (132 * 128 * 2 * 1.98e9) * 1e3)
    assert floor_ms(Counts(), None, None, card) == {"launches": 0, "arithmetic": 0, "memory": 0}


COMPILED: dict[str, Any] = {
    "seconds": {"build": 1.0, "trace": 2.0, "lower": 3.0, "compile": 4.0},
    "state_bytes": 1000,
    "in_place_bytes": 900,
    "scratch_bytes": 5,
    "replay_bytes": 10,
    "flops": None,
    "bytes": None,
    "updates": 8,
}


def test_figures_stand_beside_those_before(tmp_path: pathlib.Path) -> None:
    (tmp_path / PROGRAM_FILE).write_text(
        PROGRAM[: PROGRAM.index("ENTRY")] + "ENTRY %main (p: s32[]) -> s32[] {\n  while(\n}\n"
    )
    (tmp_path / "module.thunk_sequence.txt").write_text(ACCOUNT)
    figures = row(tmp_path, COMPILED, CARDS["A100"])
    assert (figures["nodes"], figures["not_in_place_bytes"], figures["compile_s"]) == (8, 100, 4.0)
    assert json.loads(json.dumps(figures))["tree"] == figures["tree"]
    alone, beside = table(figures, {}), table(figures, figures | {"nodes": 77})
    assert (len(alone.columns), len(beside.columns)) == (2, 3)
    assert [next(iter(column.cells)) for column in beside.columns] == ["nodes", "8", "77"]


def test_without_the_compiler_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Also where its folder is there, but not all that belongs into it."""
    assert STAMP.parent == COMPILER
    monkeypatch.setattr("benchmarks.gpu_program.__main__.STAMP", tmp_path / STAMP.name)
    with pytest.raises(UserError, match="make gpu-check"):
        main(Args())


def test_the_compiling_process_asks_for_no_driver() -> None:
    found = environment("/somewhere", "--xla_one_more")
    assert found["JAX_PLATFORMS"] == "cpu"
    assert found["PYTHONPATH"].startswith(str(COMPILER))
    assert "--xla_dump_to=/somewhere" in found["XLA_FLAGS"]
    assert found["XLA_FLAGS"].endswith("--xla_one_more")


BUDGETS = {
    # program, task, physics, agent: nodes, copies and host synchronisations of a turn
    ("iteration", "inverted_pendulum", "warp", "dsac_e"): (1196, 206, 2),
    ("iteration", "inverted_pendulum", "mjx", "dsac_e"): (1288, 130, 2),
    ("iteration", "humanoid", "warp", "dsac_e"): (1298, 195, 2),
    ("updates", "humanoid", "native", "dsac_e"): (197, 4, 0),
    ("updates", "humanoid", "native", "fast_sac_era"): (107, 2, 0),
    ("updates", "humanoid", "native", "flash_sac"): (463, 3, 0),
    ("updates", "humanoid", "native", "sac"): (87, 2, 0),
    ("updates", "humanoid", "native", "td3"): (129, 2, 0),
}
"""What a GPU is asked to do. A change that needs less lowers its line."""
MARGIN = 1.02
"""XLA does not fuse in the same way on every machine."""
SHORT = 1
"""So many of them are compiled in every run of the tests; the others are long."""


@pytest.fixture
def compiler() -> None:
    """Skips a test where the compiler is not there."""
    if not STAMP.is_file():
        pytest.skip("needs make gpu-check")


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("case", long_but(list(BUDGETS)[:SHORT], BUDGETS), ids="-".join)
def test_a_gpu_is_asked_for_no_more_than_the_budget(case: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    program, task, physics, agent = case
    args = Args(program, task, physics=physics, batch_size=256, updates_per_step=8, keep=tmp_path)  # type: ignore[arg-type]
    assert not excesses(compiled(args, agent), BUDGETS[case], one_graph=program == "updates")


def excesses(figures: dict[str, Any], budget: tuple[int, int, int], one_graph: bool = False) -> dict[str, Any]:
    """What a program asks for beyond its budget of nodes, copies and host synchronisations, and what no program may do."""
    limits = dict(
        zip(("nodes", "copies", "synchronisations"), (MARGIN * budget[0], MARGIN * budget[1], budget[2]), strict=True)
    )
    limits |= {"not_in_place_bytes": 64, "replay_copies": 0}
    beyond = {name: figures[name] for name, limit in limits.items() if figures[name] > limit}
    if figures["unknown"]:
        beyond["unknown"] = figures["unknown"]
    if one_graph and figures["graphs"] != 1:
        beyond["graphs"] = figures["graphs"]
    return beyond


def small_program(name: str, folder: pathlib.Path) -> dict[str, Any]:
    """What the compiler says of one of `tests.benchmarks.small_programs`, compiled for an H100 as programs of runs are."""
    command = [sys.executable, "-m", "tests.benchmarks.small_programs", name, str(folder)]
    done = subprocess.run(command, env=environment(str(folder)), capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("name", "beyond"),
    [
        ("sound", set()),
        ("not donated", {"not_in_place_bytes", "replay_copies"}),
        ("read after the write", {"replay_copies"}),
        ("search", {"synchronisations", "graphs"}),
    ],
)
def test_each_fault_of_a_program_is_found(name: str, beyond: set[str], tmp_path: pathlib.Path) -> None:
    figures = row(tmp_path, small_program(name, tmp_path) | {"replay_bytes": REPLAY_BYTES, "updates": 1}, CARDS["H100"])
    assert excesses(figures, (40, 20, 1), one_graph=True).keys() == beyond, figures
    assert excesses(figures, (0, 20, 0)).keys() >= {"nodes", "synchronisations"}, figures
    if name == "search":
        assert "copies" in excesses(figures, (0, 0, 0)), figures


@pytest.mark.usefixtures("compiler")
def test_a_program_that_calls_back_is_refused(tmp_path: pathlib.Path) -> None:
    assert small_program("callback", tmp_path) == {
        "refused": "The program calls back to the host (debug_callback): that needs a card that is there."
    }


def test_work_of_no_known_kind_is_an_excess() -> None:
    figures = dict.fromkeys(("nodes", "copies", "synchronisations", "not_in_place_bytes", "replay_copies"), 0)
    assert excesses(figures | {"unknown": count(parse(ACCOUNT)).unknown}, (0, 0, 0)) == {"unknown": ("kHostSend",)}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("card", CARDS)
def test_every_card_can_be_compiled_for(card: Any) -> None:
    assert compiled(Args("update", "hopper", card=card), "sac")["nodes"] > 0


def test_the_docs_hold_the_times_that_are_predicted_of_the_engines() -> None:
    page = (SPEEDS.parents[2] / "docs" / "physics.md").read_text()
    assert "\n".join(predicted_table()) in page


def test_few_worlds_are_predicted_to_be_faster_on_the_host_and_many_on_the_card() -> None:
    # Twice the worlds take a card no longer while its launches do, and C MuJoCo twice as long but for the call.
    assert milliseconds("warp", 20) == milliseconds("warp", 40) > milliseconds("native", 20)
    assert milliseconds("native", 4096) > 2 * milliseconds("warp", 4096)
    assert milliseconds("warp", 16384) == pytest.approx(2 * milliseconds("warp", 8192))
    one, two, four = (milliseconds("native", worlds) for worlds in (1024, 2048, 4096))
    assert four - two == pytest.approx(2 * (two - one))
