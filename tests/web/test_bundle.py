"""Modules become one classic script that any browser loads from a file, or the build stops."""

import re
import shutil
import subprocess

import pytest
import widget

MODULES = sorted(path.stem for path in widget.WEB.glob("*.js"))
WIDGETS = [name for name in MODULES if 'define("kc-' in (widget.WEB / f"{name}.js").read_text()]


def write(folder, **modules):
    for name, source in modules.items():
        (folder / f"{name}.js").write_text(source)
    return folder


def run(folder, name):
    """Run a bundle as a browser runs a classic script; give what it leaves in `said`."""
    (folder / "bundle.js").write_text(widget.bundle(name, folder))
    program = (
        "const vm = require('node:vm'); const context = vm.createContext({});"
        "vm.runInContext(require('node:fs').readFileSync('bundle.js', 'utf8'), context);"
        "console.log(context.said);"
    )
    command = [shutil.which("node"), "--input-type=commonjs", "-e", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_functions_classes_and_constants_pass_from_module_to_module(tmp_path):
    write(
        tmp_path,
        low="const hidden = 1;\nexport const one = hidden;\nexport async function later() {}\n",
        middle='import { one } from "./low.js";\nexport function two() {\n  return 2 * one;\n}\n'
        "export class Three {}\n",
        top='import { one } from "./low.js";\nimport {\n  two,\n  Three,\n} from "./middle.js";\n'
        "const hidden = new Three();\nglobalThis.said = one + two() + hidden.constructor.name;\n",
    )
    assert run(tmp_path, "top") == "3Three\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("export default 3;", "export default"),
        ("const a = 1;\nexport { a };", "export { a }"),
        ("export let a = 1;", "export let"),
        ('export * from "./low.js";', "export *"),
        ('import * as low from "./low.js";', "import *"),
        ('import { one as a } from "./low.js";', "one as a"),
        ("import { one } from './low.js';", "import { one }"),
        ('  import { one } from "./low.js";', "import { one }"),
        ('const low = await import("./low.js");', "import"),
        ("const here = import.meta.url;", "import.meta"),
        ('import { none } from "./low.js";', "none"),
        ('import { one } from "./missing.js";', "missing.js"),
        ('import { one } from "./wrong.js";', "must not import itself"),
    ],
)
def test_any_other_form_stops_the_build(tmp_path, source, complaint):
    write(tmp_path, low="export const one = 1;\n", wrong=source)
    with pytest.raises(ValueError, match=re.escape(complaint)):
        widget.bundle("wrong", tmp_path)


def test_there_are_widgets():
    assert {"convolution", "padding", "channels", "pooling"} <= set(WIDGETS)


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_weighs_less_than_30_kb_zipped(name):
    import gzip

    assert len(gzip.compress(widget.bundle(name).encode())) < 30_000


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_asks_no_other_host(name):
    script = widget.bundle(name)
    assert not re.search(r"https?://(?!www\.w3\.org/)", script)
    assert "fetch(" not in script
