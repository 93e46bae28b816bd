"""Flows are values: built without a network, compared, pickled, and filled in with an id."""

from __future__ import annotations

import pickle

import pytest

from memories_async import Flow, assets, clips, embeddings, videos

PNG = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture
def film(tmp_path):
    """A file with the extension of a video."""
    path = tmp_path / "holiday.mp4"
    path.write_bytes(b"a film")
    return path


def test_an_embedding_of_a_file_is_an_upload_and_a_call(film):
    """Both are the calls that their own functions build."""
    flow = embeddings.video_file(film, model="m")

    assert flow.upload == assets.upload(film)
    assert flow.build_call("re_7") == embeddings.video("re_7", model="m")
    assert flow.ask("re_7") == assets.metadata("re_7")
    assert flow.read_id(assets.Asset(asset_id="re_7")) == "re_7"


def test_a_search_in_a_file_is_an_upload_and_a_call(film):
    """All three calls name the scope."""
    flow = clips.search_file(PNG, video=film, prompt="red", unique_id="mine")

    assert flow.upload == videos.upload(film, unique_id="mine")
    wanted = clips.search(PNG, prompt="red", video_no="VI7", unique_id="mine")
    assert flow.build_call("VI7") == wanted
    assert flow.ask("VI7") == videos.metadata("VI7", unique_id="mine")


def test_a_flow_is_a_value(film):
    """Equal arguments build equal flows, also in another process."""
    flow = embeddings.video_file(film)

    assert flow == embeddings.video_file(film) != embeddings.video_file(film, model="m")
    assert pickle.loads(pickle.dumps(flow)) == flow
    assert isinstance(flow, Flow)


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"interval": -1}, {"model": ""}])
def test_a_mistake_is_raised_when_the_flow_is_built(film, wrong):
    """Before the upload is paid."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        embeddings.video_file(film, **wrong)
