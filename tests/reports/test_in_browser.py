"""The report in a browser: no complaint on its console, nothing wider than a telephone, every part with a size."""

import html
import json
import re
import shutil
import subprocess

import pytest

from tests.conftest import PATIENCE
from tests.reports.test_page import PARTS, experiment, whole_page  # noqa: F401 - a fixture

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HARNESS = """<!doctype html><title>harness</title>
<iframe id="page" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
addEventListener("load", () => {{
  const page = document.getElementById("page").contentDocument;
  page.querySelectorAll("details").forEach(each => each.open = true);
  const box = each => each.getBoundingClientRect();
  document.getElementById("found").textContent = JSON.stringify({{
    wide: page.documentElement.scrollWidth,
    sticking_out: [...page.querySelectorAll("body *")].filter(
      each => !each.closest(".wide, pre, svg") && box(each).right > {width}).map(each => each.outerHTML.slice(0, 80)),
    parts: [...page.querySelectorAll("h2")].filter(each => box(each).height > 0).map(each => each.textContent),
    charts: [...page.querySelectorAll("svg.chart")].map(each => [box(each).width, box(each).height]),
    scripts: page.querySelectorAll("script, img").length,
    text: getComputedStyle(page.body).color,
    line: getComputedStyle(page.querySelector(".line.s1")).stroke,
    cut: [...page.querySelectorAll("svg.chart text")].filter(each => {{
      const around = box(each.closest("svg")), own = box(each);
      return own.left < around.left - 1 || own.right > around.right + 1 || own.bottom > around.bottom + 1;
    }}).map(each => each.textContent),
    letters: [...page.querySelectorAll("svg.chart text")].map(each => box(each).height),
  }});
}});
</script>"""


def browse(page, folder, width, scheme="light"):
    """What a browser of this width finds on ``page``, and the lines of its console."""
    file = folder / "harness.html"
    file.write_text(HARNESS.format(width=width, page=html.escape(page)), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
            f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000",
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr
    assert found[1], done.stderr
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.engine
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (400, "dark"), (1200, "light")])
def test_a_browser_finds_every_part_within_its_width_and_has_nothing_to_complain_of(
    experiment,  # noqa: F811
    tmp_path,
    width,
    scheme,
):
    found, console = browse(whole_page(experiment), tmp_path, width, scheme)
    assert console == []
    assert found["wide"] <= width
    assert found["sticking_out"] == []
    assert found["cut"] == []
    assert found["parts"] == PARTS
    assert found["scripts"] == 0
    assert len(found["charts"]) >= 10
    assert all(wide > 250 and high > 50 for wide, high in found["charts"])
    assert min(found["letters"]) >= 10  # pixels: to be read
    assert found["text"] == ("rgb(241, 240, 236)" if scheme == "dark" else "rgb(27, 27, 25)")
    assert found["line"] == ("rgb(90, 158, 234)" if scheme == "dark" else "rgb(33, 105, 192)")


@pytest.mark.engine
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_browser_of_these_tests_does_complain_of_a_page_that_fetches(experiment, tmp_path):  # noqa: F811
    page = whole_page(experiment).replace("</body>", '<img src="https://example.org/x.png"></body>')
    found, console = browse(page, tmp_path, 400)
    assert any("Content Security Policy" in line for line in console)
    assert found["scripts"] == 1
