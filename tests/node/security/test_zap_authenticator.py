"""Who comes in by which door: every kind of key at every door, on real sockets."""

import asyncio
from functools import partial
from random import Random

import msgspec
import pytest
import zmq

from gossip.packets import PROTOCOL_VERSION, Packet, Same
from node.control.messages import FrontierPage, ReadFrontier, replies_decoder
from node.process.supervisor import Supervisor
from node.security.key_files import TrustedKey, fingerprint, forget, new_pair, trust
from node.security.zap_authenticator import NOTES_MAX
from tests.node.doorways import CLUSTER, House, Visitor, packet
from tests.node.loops import run, until

VISITORS = (None, "stranger", "n2", "ana", "eve")
DOORS = ("gossip", "control", "feed")
LET_IN = {("n2", "gossip"), ("ana", "control"), ("eve", "feed")}

every_visitor = pytest.mark.parametrize("name", VISITORS, ids=lambda name: name or "no key")
every_door = pytest.mark.parametrize("door", DOORS)


@every_door
@every_visitor
def test_the_access_matrix(name: str | None, door: str) -> None:
    async def main() -> None:
        async with House() as house:
            visitor = Visitor(house, door, house.keys.pairs[name] if name else None)
            assert await visitor.tries() == ((name, door) in LET_IN)
            refusals = house.told("key_refused")
            if name is None or (name, door) in LET_IN:
                assert refusals == []  # who shows no key is not even asked about
            else:
                note = refusals[0]
                assert note.level == "warning"
                assert note.fields["door"] == door
                assert str(note.fields["address"]).startswith("127.0.0.1:")
                assert note.fields["fingerprint"] == fingerprint(house.keys.pairs[name].public)
                why = {"stranger": "unknown_key", "n2": "key_of_a_peer", "ana": "key_of_a_client"}
                assert note.fields["reason"] == why.get(name, "key_of_a_observer")
                assert len(refusals) == 1, "the same key at the same door is told once"
            if (name, door) != ("n2", "gossip"):
                assert house.packets == []

    run(main)


@every_door
@every_visitor
def test_with_dead_doors_nobody_comes_in(name: str | None, door: str) -> None:
    async def main() -> None:
        async with House() as house:
            house.doors.stop()
            visitor = Visitor(house, door, house.keys.pairs[name] if name else None)
            assert not await visitor.tries()
            assert house.packets == []

    run(main)


@every_door
def test_doors_that_come_back_let_in_again_and_those_inside_never_noticed(door: str) -> None:
    name = {after: before for before, after in LET_IN}[door]

    async def main() -> None:
        async with House() as house:
            inside = Visitor(house, door, house.keys.pairs[name])
            assert await inside.tries()
            house.doors.stop()
            house.packets.clear()
            outside = Visitor(house, door, house.keys.pairs[name])
            assert not await outside.tries()
            house.doors.start()
            await until(outside.served)
            inside.look()
            assert inside.hung_up == 0

    run(main)


@every_door
def test_who_knows_the_wrong_node_key_gets_no_answer_and_no_question_is_asked(door: str) -> None:
    async def main() -> None:
        async with House() as house:
            name = {after: before for before, after in LET_IN}[door]
            wrong = new_pair("n9", "peer").public
            visitor = Visitor(house, door, house.keys.pairs[name], server=wrong)
            assert not await visitor.tries()
            assert house.doors.counters == {"doors_let_in": 0, "doors_refused": 0}

    run(main)


def test_what_lies_in_a_private_folder_needs_no_key() -> None:
    async def main() -> None:
        async with House() as house:
            client = house.context.socket(zmq.DEALER)
            client.setsockopt(zmq.LINGER, 0)
            client.connect(f"ipc://{house.keys.folder}/s/control")
            client.send(msgspec.msgpack.encode([ReadFrontier(1)]))
            await until(lambda: client.poll(0))
            assert type(replies_decoder.decode(client.recv())[0]) is FrontierPage
            assert house.doors.counters["doors_let_in"] == 0
            client.close(linger=0)

    run(main)


def test_a_key_that_is_trusted_later_comes_in_without_a_restart() -> None:
    async def main() -> None:
        async with House() as house:
            visitor = Visitor(house, "control", house.keys.pairs["stranger"])
            await until(lambda: house.doors.counters["doors_refused"] >= 1)
            stranger = house.keys.pairs["stranger"]
            trust(house.keys.folder, TrustedKey("client", "bea", stranger.public))
            await until(visitor.served)
            assert [note.fields["keys"] for note in house.told("keys_read")] == [5]

    run(main)


@pytest.mark.parametrize(("name", "door"), [("n2", "gossip"), ("ana", "control")])
def test_a_key_that_is_forgotten_is_not_heard_even_on_a_connection_that_stands(
    name: str, door: str
) -> None:
    async def main() -> None:
        async with House() as house:
            visitor = Visitor(house, door, house.keys.pairs[name])
            assert await visitor.tries()
            forget(house.keys.folder, name)
            house.packets.clear()
            if door == "gossip":
                visitor.socket.send(packet("n2", 2))
                await until(lambda: house.transport.rejected == {"untrusted": 1})
                assert house.packets == []
            else:
                visitor.socket.recv()
                visitor.socket.send(msgspec.msgpack.encode([ReadFrontier(2)]))
                await until(lambda: house.control.counters["control_bad"] == 1)
                await asyncio.sleep(0.05)
                assert not visitor.socket.poll(0)

    run(main)


def test_whose_key_is_gone_is_told_once_and_again_when_it_is_gone_again() -> None:
    async def main() -> None:
        async with House() as house:
            pair = house.keys.pairs["n2"]
            reply = Packet(PROTOCOL_VERSION, CLUSTER, "n1", 1, 1, Same(0, bytes(16)))
            for times in (1, 2):
                forget(house.keys.folder, "n2")
                for _ in range(3):
                    house.transport.send("n2", reply)
                told = house.told("peers_without_key")
                assert [note.fields for note in told] == [{"peers": ["n2"]}] * times
                trust(house.keys.folder, TrustedKey("peer", "n2", pair.public))
                house.transport.send("n2", reply)
            assert len(house.told("peers_without_key")) == 2

    run(main)


def test_a_list_that_cannot_be_read_trusts_nobody_and_says_so() -> None:
    async def main() -> None:
        async with House() as house:
            trusted = house.keys.folder / "trusted"
            good = trusted.read_text()
            trusted.write_text(good + "peer n3 not-a-key\n")
            visitor = Visitor(house, "gossip", house.keys.pairs["n2"])
            assert not await visitor.tries()
            (note,) = house.told("keys_unreadable")
            assert "trusted:7: is not `role name public-key`" in str(note.fields["reason"])
            trusted.write_text(good)
            await until(visitor.served)

    run(main)


def test_a_crowd_of_strangers_costs_few_lines() -> None:
    async def main() -> None:
        async with House() as house:
            crowd = [Visitor(house, "gossip", new_pair(f"x{n}", "peer")) for n in range(30)]
            await until(lambda: house.doors.counters["doors_refused"] >= 30)
            assert len(house.told("key_refused")) == NOTES_MAX
            for visitor in crowd:
                visitor.close()

    run(main)


# --- identity -------------------------------------------------------------------------------------


def test_a_peer_that_uses_another_name_is_not_listened_to_for_a_while() -> None:
    async def main() -> None:
        async with House() as house:
            visitor = Visitor(house, "gossip", house.keys.pairs["n2"])
            assert await visitor.tries()
            for name in ("n3", "n2", "n1"):
                visitor.socket.send(packet(name, 2))
            await until(lambda: sum(house.transport.rejected.values()) == 3)
            assert house.transport.rejected == {"identity": 1, "penalised": 2}
            assert [one.number for one in house.packets] == [1]
            note = house.told("frame_rejected")[0]
            assert note.fields["reason"] == "identity"
            assert "the key of n2 sent a packet of 'n3'" in str(note.fields["detail"])

            def heard() -> bool:
                visitor.socket.send(packet("n2", 3))
                return len(house.packets) > 1

            await until(heard)  # after a second

    run(main)


def test_the_name_of_the_node_itself_is_no_better() -> None:
    async def main() -> None:
        async with House() as house:
            visitor = Visitor(house, "gossip", house.keys.pairs["n2"])
            assert await visitor.tries()
            visitor.socket.send(packet("n1", 2))
            await until(lambda: house.transport.rejected == {"identity": 1})

    run(main)


@pytest.mark.parametrize(("name", "door"), [("ana", "control"), ("eve", "feed")])
def test_a_node_that_stops_still_serves_who_is_inside(name: str, door: str) -> None:
    async def main() -> None:
        async with House() as house:
            inside = Visitor(house, door, house.keys.pairs[name])
            assert await inside.tries()
            house.control.leave()
            house.feed.leave()
            if door == "control":
                inside.socket.recv()
                inside.socket.send(msgspec.msgpack.encode([ReadFrontier(2)]))
            await asyncio.sleep(0.2)
            assert inside.served()
            inside.look()
            assert inside.hung_up == 0

    run(main)


# --- supervision ----------------------------------------------------------------------------------


def test_doors_that_crash_are_restarted_and_let_nobody_in_meanwhile() -> None:
    async def main() -> None:
        async with House() as house:
            loop = asyncio.get_running_loop()
            supervisor = Supervisor(
                rng=Random(1),
                now_s=loop.time,
                schedule=loop.call_later,
                on_note=lambda _, note: house.notes.append(note),
                on_give_up=lambda *_: None,
            )
            house.doors.stop()
            house.doors._guard = partial(supervisor.guard, "doors")
            supervisor.start(house.doors)
            look, house.doors._why_not = house.doors._why_not, crash  # type: ignore[method-assign]
            visitor = Visitor(house, "control", house.keys.pairs["ana"])
            await until(lambda: house.told("worker_crashed"))
            assert not visitor.served()
            house.doors._why_not = look  # type: ignore[method-assign]
            await until(lambda: house.told("worker_restarted"))
            await until(visitor.served)

    run(main)


def crash(parts: list[bytes], domain: str) -> str:
    raise RuntimeError("boom")
