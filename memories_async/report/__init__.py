"""One HTML page of a ledger: what was asked, what was found, what it cost. Needs the extra `report`."""

from typing import TYPE_CHECKING

from memories_async._lazy import later

if TYPE_CHECKING:
    from memories_async.report._media import index_media
    from memories_async.report._report import Report
else:
    _find = later(__name__, {"Report": "._report", "index_media": "._media"})
    _PACKAGES = {"jinja2": "Jinja2", "av": "PyAV", "numpy": "numpy", "markupsafe": "Jinja2"}

    def __getattr__(name: str) -> object:
        try:
            return _find(name)
        except ModuleNotFoundError as error:
            if error.name not in _PACKAGES:
                raise
            raise ModuleNotFoundError(
                f"memories_async.report needs {_PACKAGES[error.name]}:"
                " pip install 'memories_async[report]'",
                name=error.name,
            ) from error


__all__ = ["Report", "index_media"]
