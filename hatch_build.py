"""Give the package's page on PyPI a README whose links lead to the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_REPOSITORY = "rxagents/rxagents"
_IMAGE = re.compile(r"(!\[[^\]]*\]\()(?!https?://)([^)\s]+)")
_LINK = re.compile(r"(\]\()(?!https?://|#)([^)\s]+)")


class ReadmeHook(MetadataHookInterface):
    """Sets the metadata's `readme`, which `pyproject.toml` declares as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme` to the README with absolute links."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = _IMAGE.sub(rf"\1https://raw.githubusercontent.com/{_REPOSITORY}/main/\2", text)
        text = _LINK.sub(rf"\1https://github.com/{_REPOSITORY}/blob/main/\2", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
