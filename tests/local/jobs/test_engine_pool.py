"""An engine that fails is a refusal of its own kind: nothing is charged, and the outcome is known."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from attrs import evolve

from memories_async import MemoriesError, Refused
from memories_async.local.engine.protocol import EngineFailed, Match, SearchResult, UnreadableImage

QUESTIONS = ("index", "search", "embed", "caption")
ERRORS = [
    pytest.param(ZeroDivisionError("x"), "The engine failed.", id="any"),
    pytest.param(TimeoutError("timed out"), "The engine failed; see the log.", id="os"),
    pytest.param(EngineFailed("no weights"), "no weights", id="own"),
    pytest.param(EngineFailed("internal error"), "The engine failed; see the log.", id="trouble"),
    pytest.param(OSError(28, "No space"), "The service cannot use a file: No space.", id="disk"),
    pytest.param(MemoryError(), "The engine failed.", id="memory"),
]


@pytest.fixture
def ask(service):
    """Ask the service, by a client, the question that an engine's method answers."""

    async def ask(question):
        video = service.library[0]
        async with service.client() as client:
            if question == "embed":
                return await client.embeddings.video(video.asset_id)
            if question == "caption":
                words = {"user_prompt": "x", "system_prompt": "x"}
                return await client.captions.upload_file_sync(video.path, **words)
            return await client.clips.search(
                b"\x89PNG\r\n\x1a\n", prompt="red", video_no=video.video_no
            )

    return ask


@pytest.mark.parametrize(("error", "message"), ERRORS)
@pytest.mark.parametrize("question", QUESTIONS)
async def test_whatever_an_engine_raises_is_refused_and_free(
    service, ask, engine, *, question, error, message
):
    """On each host, whatever the words of the error."""

    def fail(*_):
        raise type(error)(*error.args)

    setattr(engine, question, fail)

    with pytest.raises(Refused) as caught:
        await ask(question)

    assert type(caught.value) is Refused
    assert caught.value.code in ("0424", "424")
    assert caught.value.billed == "no"
    assert caught.value.message == message
    assert service.account.paid == 0
    assert service.request_log[-1].code == caught.value.code


async def test_words_of_an_unreadable_picture_leave_no_doubt(service, ask, engine):
    """A client would read "timed out" as an unknown outcome."""

    def fail(*_):
        raise UnreadableImage("The decoder timed out.")

    engine.search = fail

    with pytest.raises(MemoriesError) as caught:
        await ask("search")

    assert (caught.value.billed, caught.value.code) == ("no", "0003")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param("search", None, id="no clips"),
        pytest.param(
            "search",
            SearchResult(clips=(Match(start_time=0, end_time=1, score=float("nan")),)),
            id="no score",
        ),
        pytest.param("embed", (1.0,), id="one number"),
        pytest.param("embed", (float("inf"),) * 1024, id="no number"),
        pytest.param("caption", None, id="no caption"),
        pytest.param("index", None, id="no facts"),
    ],
)
async def test_answer_that_is_none_is_a_failure_of_the_engine(ask, engine, question, answer):
    """It does not reach the reply."""
    setattr(engine, question, lambda *_: answer)

    with pytest.raises(Refused, match="engine") as caught:
        await ask(question)

    assert caught.value.code in ("0424", "424")


async def test_duration_and_text_of_an_engine_are_checked(ask, engine, service):
    """A film that lasts forever, and a caption without a word."""
    index, caption = engine.index, engine.caption
    engine.caption = lambda *given: evolve(caption(*given), text="")
    with pytest.raises(Refused, match="caption is empty"):
        await ask("caption")

    service.reset()
    found = index(service.library[0].path)
    facts = evolve(found.facts, duration=float("inf"))
    engine.index = lambda _: evolve(found, facts=facts)
    service.library[0].path.write_bytes(b"30:another")
    with pytest.raises(Refused, match="not finite"):
        await ask("caption")


@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
async def test_an_index_that_fails_when_nobody_waits_is_told_to_nobody(
    service, engine, *, is_closed
):
    """As after Ctrl-C, which ends the wait and then the work; the next request asks anew."""
    released, failed, told = threading.Event(), threading.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def fail(_):
        released.wait(20)
        failed.set()
        raise EngineFailed("interrupted")

    engine.index = fail
    pool = service._components.engine_pool
    waiting = asyncio.ensure_future(pool.index(service.library[0]))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    (work,) = pool._indexes.values()
    if is_closed:
        pool.close()
    released.set()
    await asyncio.to_thread(failed.wait, 20)
    await asyncio.wait({work})
    await asyncio.sleep(0)
    pool.forget(service.library[0])
    del work, waiting
    gc.collect()

    assert told == []
