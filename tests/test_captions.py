"""Video Caption, both ways to submit, field by field as the page has it."""

from __future__ import annotations

import json
import pickle

import pytest
from samples import ACCEPTED, PNG, caption_call, reply

from memories_async import CaptionTask, Person, captions
from memories_async._protocol.call import fingerprint
from memories_async._protocol.reply import Host
from memories_async.errors import BadReply

ASKED = {"user_prompt": "u", "system_prompt": "s", "callback": "https://me/cb"}
PEOPLE = [Person("Alice", url="https://x/alice.jpg"), Person("Bob", url="https://x/bob.jpg")]


def by_file(video=b"video", **changes):
    """Submit a video from this machine."""
    return captions.upload_file(video, **{**ASKED, **changes})


@pytest.mark.parametrize(
    ("call", "path"),
    [(caption_call(), "/v1/understand/upload"), (by_file(), "/v1/understand/uploadFile")],
)
def test_both_calls_are_those_of_the_page(call, path):
    """Each is billed as one caption, and a repeat would submit another task."""
    assert (call.host, call.path, call.family) == (Host.CAPTIONS, path, "captions")
    assert (call.unit, call.repeatable, call.needs_callback) == ("caption", False, False)


def test_upload_sends_the_documented_fields():
    """Every field of the sample, in its order; `thinking` is a JSON boolean."""
    call = captions.upload("https://x/v.mp4", **ASKED, persons=PEOPLE, thinking=True)

    assert json.loads(call.body.encode()) == {
        "video_url": "https://x/v.mp4",
        "user_prompt": "u",
        "system_prompt": "s",
        "callback": "https://me/cb",
        "persons": [
            {"name": "Alice", "url": "https://x/alice.jpg"},
            {"name": "Bob", "url": "https://x/bob.jpg"},
        ],
        "thinking": True,
    }
    assert list(call.body.document)[:4] == ["video_url", *ASKED]


def test_upload_without_persons_sends_none():
    """And `thinking` is false by default."""
    document = json.loads(caption_call().body.encode())

    assert "persons" not in document
    assert document["thinking"] is False


@pytest.mark.parametrize("build", [caption_call, by_file])
def test_a_tag_is_not_sent_and_makes_no_other_call(build):
    """It is the caller's own; the same question is paid once, whoever asks."""
    tagged, plain = build(tag="order 7"), build()

    assert tagged.tag == "order 7"
    assert tagged == plain
    assert fingerprint(tagged, "me") == fingerprint(plain, "me")
    assert tagged.read(reply(ACCEPTED)).tag == "order 7"
    assert pickle.loads(pickle.dumps(tagged)).tag == "order 7"
    with pytest.raises(ValueError, match="tag must not be empty"):
        build(tag=" ")


def test_upload_file_sends_req_then_the_video_then_each_person():
    """The JSON part is named `req` with file name `req.json`; all files are named `files`."""
    people = [Person("Alice", image=PNG), Person("Bob", image=b"\xff\xd8\xff jpeg")]
    req, *files = by_file(persons=people).body.parts

    assert (req.name, req.file_name) == ("req", "req.json")
    assert json.loads(req.content.encode()) == {
        **ASKED,
        "persons": [{"name": "Alice"}, {"name": "Bob"}],
        "thinking": False,
    }
    assert [part.name for part in files] == ["files"] * 3
    assert [(part.content.name, part.content.content_type) for part in files] == [
        ("video.mp4", "video/mp4"),
        ("Alice.png", "image/png"),
        ("Bob.jpg", "image/jpeg"),
    ]
    assert files[2].content.digest() != files[1].content.digest()


@pytest.mark.parametrize("build", [caption_call, by_file])
@pytest.mark.parametrize("name", ["user_prompt", "system_prompt", "callback"])
def test_a_required_argument_must_not_be_empty(build, name):
    """An empty callback is refused, too."""
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        build(**{name: " "})


URLS = ["example.com/v.mp4", "ftp://x/v.mp4", "https://", "file:///etc/passwd", "https://x/a\nb"]
URLS += ["https://[x/v.mp4", "https://x:99999/v.mp4"]


@pytest.mark.parametrize("url", URLS)
def test_a_url_must_be_a_full_http_url(url):
    """The message names the argument: the video, the callback or the person."""
    with pytest.raises(ValueError, match="video_url must be a full http or https URL"):
        captions.upload(url, **ASKED)
    with pytest.raises(ValueError, match="callback must be"):
        caption_call(callback=url)
    with pytest.raises(ValueError, match="persons: Ann: url must be"):
        caption_call(persons=[Person("Ann", url=url)])


def test_more_than_five_persons_are_refused():
    """The documented limit; None removes it."""
    six = [Person(f"P{n}", url="https://x/p.png", image=PNG) for n in range(6)]

    assert len(json.loads(caption_call(persons=six[:5]).body.encode())["persons"]) == 5
    for build in (caption_call, by_file):
        with pytest.raises(ValueError, match="persons must be at most 5, not 6"):
            build(persons=six)
        assert build(persons=iter(six), max_persons=None)


def test_upload_takes_urls_and_upload_file_takes_images():
    """The message says which."""
    with pytest.raises(ValueError, match=r"Ann needs a url \(upload_file takes an image\)"):
        caption_call(persons=[Person("Ann", image=PNG)])
    with pytest.raises(ValueError, match=r"Ann needs an image \(upload takes a url\)"):
        by_file(persons=[Person("Ann", url="https://x/a.png")])


@pytest.mark.parametrize("build", [caption_call, by_file])
def test_persons_must_be_persons_with_names(build):
    """Checked when the call is built."""
    with pytest.raises(ValueError, match=r"persons\[0\].name must not be empty"):
        build(persons=[Person("", url="https://x/a.png", image=PNG)])
    with pytest.raises(TypeError, match=r"persons\[0\] must be a Person, not str"):
        build(persons=["Ann"])


def test_videos_and_pictures_above_20_mb_are_refused():
    """The documented limit for the video; that of the search page for a picture."""
    most = 20 * 1024 * 1024

    assert by_file(bytes(most))
    with pytest.raises(ValueError, match="video must be at most 20,971,520 bytes"):
        by_file(bytes(most + 1))
    assert by_file(bytes(most + 1), max_video_size=None)
    with pytest.raises(ValueError, match="persons: Ann: image must be at most"):
        by_file(persons=[Person("Ann", image=PNG + bytes(most))])


@pytest.mark.parametrize("video", [b"", "gone.mp4"])
def test_an_empty_or_missing_video_is_refused(video):
    """When the call is built."""
    with pytest.raises(ValueError, match=r"^video "):
        by_file(video)


@pytest.mark.parametrize("build", [caption_call, by_file])
def test_a_call_without_a_callback_needs_a_receiver(build):
    """No field is sent in its place."""
    assert build(callback=None).needs_callback


def test_the_repr_of_a_person_shows_no_picture():
    """It may be megabytes."""
    assert "PNG" not in repr(Person("Ann", image=PNG))


def test_the_answer_is_a_task():
    """The caption itself arrives at the callback."""
    assert caption_call().read(reply(ACCEPTED)) == CaptionTask("8e03075a-2230")


DATA = [None, {}, [], "id", {"task_id": None}, {"task_id": ""}, {"task_id": 7}, {"taskId": "x"}]


@pytest.mark.parametrize("data", [*DATA, {"task_id": "\ud800"}])
def test_an_acceptance_without_a_usable_task_is_a_bad_reply(data):
    """It may be billed, so its body is kept (fault case 33)."""
    with pytest.raises(BadReply) as caught:
        caption_call().read(reply({**ACCEPTED, "data": data}))

    assert caught.value.body


SYNC = [
    (captions.upload_sync, "https://x/a.mp4", "/v1/understand/uploadSync"),
    (captions.upload_file_sync, b"film", "/v1/understand/uploadFileSync"),
]


@pytest.mark.parametrize(("build", "video", "path"), SYNC)
def test_a_caption_in_the_reply_needs_no_callback_and_waits_longer(build, video, path):
    """It is one billed request, which is not safe to repeat."""
    call = build(video, user_prompt="u", system_prompt="s", thinking=True)
    body = call.body if isinstance(video, str) else call.body.parts[0].content

    assert (call.path, call.unit, call.repeatable, call.needs_callback) == (
        path,
        "caption",
        False,
        False,
    )
    assert call.patience == captions.PATIENCE
    assert "callback" not in body.plain


@pytest.mark.parametrize(
    ("data", "tokens", "extra"),
    [
        ({"text": "t", "token": {"input": 1, "output": 2, "total": 3}}, (1, 2, 3), {}),
        ({"text": "t", "token": {"input": "many"}, "upload_ms": 5}, None, {"token", "upload_ms"}),
        ({"text": ""}, None, {}),
    ],
)
def test_a_caption_in_the_reply_is_read_like_one_of_a_callback(data, tokens, extra):
    """Counts that cannot be read are kept beside the text."""
    call = captions.upload_sync("https://x/a.mp4", user_prompt="u", system_prompt="s")
    caption = call.read(reply({"code": 0, "msg": "success", "data": data}))

    assert caption.text == data["text"]
    assert tokens is None or (caption.tokens.input, caption.tokens.output) == tokens[:2]
    assert set(caption.extra) == set(extra)


@pytest.mark.parametrize("data", [None, {}, {"text": 7}, []])
def test_a_reply_without_a_caption_was_paid_and_keeps_its_bytes(data):
    """Nothing proves that it was free."""
    call = captions.upload_sync("https://x/a.mp4", user_prompt="u", system_prompt="s")
    with pytest.raises(BadReply) as caught:
        call.read(reply({"code": 0, "msg": "success", "data": data}))

    assert caught.value.body


@pytest.mark.parametrize("effort", [1, 10])
def test_effort_and_style_are_sent_where_the_page_has_them(effort):
    """As numbers and booleans of the JSON document."""
    given = {"user_prompt": "u", "system_prompt": "s", "thinking": True, "qa": False}
    call = captions.upload("https://x/a.mp4", reasoning_effort=effort, **given)

    assert call.body.plain["reasoning_effort"] == effort
    assert call.body.plain["qa"] is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reasoning_effort": 0, "thinking": True}, "must be 1 to 10, not 0"),
        ({"reasoning_effort": 11, "thinking": True}, "must be 1 to 10, not 11"),
        ({"reasoning_effort": 3}, "reasoning_effort needs thinking=True"),
    ],
)
def test_an_effort_that_the_service_would_refuse_is_refused(changes, message):
    """Before anything is sent."""
    with pytest.raises(ValueError, match=message):
        captions.upload("https://x/a.mp4", user_prompt="u", system_prompt="s", **changes)
