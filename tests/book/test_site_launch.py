"""The buttons of every built page lead where they should, with the addresses of `_config.yml`.

Named so that it comes after test_site.py, which builds the site. Following one to its end is left
to tests/hub.
"""

from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, SoupStrainer

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
CONFIGURATION = yaml.safe_load((ROOT / "_config.yml").read_text())
URL, BRANCH = (CONFIGURATION["repository"][key] for key in ("url", "branch"))
BINDER, HUB = (CONFIGURATION["launch_buttons"][key] for key in ("binderhub_url", "jupyterhub_url"))
OWNER, NAME = urlsplit(URL).path.strip("/").split("/")
PAGES = [
    "index",
    *(
        chapter["file"]
        for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
        for chapter in part["chapters"]
    ),
]
pytestmark = pytest.mark.book


def links(page):
    """Give the addresses of a page's buttons, by what they are for, and the number of all."""
    only = SoupStrainer(class_="article-header-buttons")
    head = BeautifulSoup((SITE / f"{page}.html").read_text(), "html.parser", parse_only=only)
    found = [a["href"] for a in head.find_all("a", href=lambda href: urlsplit(href).netloc)]
    starts = {"issue": f"{URL}/issues", "repository": URL, "binder": BINDER, "hub": HUB}
    first = {
        what: next((href for href in found if href.startswith(start)), None)
        for what, start in starts.items()
    }
    return first | {"number": len(found)}


def told(href):
    """Take a link apart: where it leads, and each word of its query."""
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", parse_qs(
        parts.query, strict_parsing=True
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_buttons_lead_to_this_page_in_the_one_repository(page):
    found = links(page)
    assert found["repository"] == URL
    assert told(found["issue"]) == (
        f"{URL}/issues/new",
        {"title": [f"Issue on page /{page}.html"], "body": ["Your issue content here."]},
    )
    source = ROOT / f"{page}.md"
    if "{code-cell}" not in source.read_text():
        assert found["binder"] is found["hub"] is None, "there is nothing to run"
        assert found["number"] == 2
        return
    assert told(found["binder"]) == (
        f"{BINDER}/v2/gh/{OWNER}/{NAME}/{BRANCH}",
        {"urlpath": [f"lab/tree/{page}.md"]},
    )
    assert told(found["hub"]) == (
        f"{HUB}/hub/user-redirect/git-pull",
        {"repo": [URL], "urlpath": [f"lab/tree/{NAME}/{page}.md"], "branch": [BRANCH]},
    )
    assert found["number"] == 4


def test_no_name_needs_what_the_theme_does_not_encode():
    """It encodes what it tells the hub, and nothing of what it tells Binder."""
    for name in (OWNER, NAME, BRANCH, *(page.rpartition("/")[2] for page in PAGES)):
        assert quote(name, safe="") == name
    assert not URL.endswith((".git", "/")), "nbgitpuller names its folder by the address's end"
