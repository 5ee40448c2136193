"""The decoder of the browser: `ddc.wasm` with wasmtime over all vectors; the modules and the page in Chromium."""

import base64
import ctypes
import functools
import http.server
import json
import re
import shutil
import threading
import zlib
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from zlib import crc32

import make_valid
import numpy as np
import pytest
import wasmtime
from conftest import wait_until
from invalid import FOLDER as INVALID
from PIL import Image
from random_coded import random_arch, random_coded

import ddcodec
from ddcodec import web
from ddcodec.format.arch import base_arch
from ddcodec.format.coded import CodedImage
from ddcodec.format.files import pack
from ddcodec.format.header import VERSION, read_header
from ddcodec.format.weights import Weights
from ddcodec.native.build import WASM, build, zig
from ddcodec.native.library import ERRORS, Header
from ddcodec.partial import beginning_of, decode_beginning

ROOT = Path(__file__).parents[1]
SAMPLES = sorted((ROOT / "samples").glob("*.ddc"))
VALID = sorted(make_valid.FOLDER.glob("*.ddc"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Wasm:
    """An instance of ddc.wasm, as `core.js` uses it."""

    ENGINE = wasmtime.Engine()
    MODULE = wasmtime.Module(ENGINE, (web.FOLDER / "ddc.wasm").read_bytes())

    def __init__(self):
        assert not self.MODULE.imports
        self.store = wasmtime.Store(self.ENGINE)
        self.exports = wasmtime.Instance(self.store, self.MODULE, []).exports(self.store)
        self.memory, self.top = self.exports["memory"], self.exports["__heap_base"].value(self.store)

    def call(self, name, *arguments):
        return self.exports[name](self.store, *arguments)

    def take(self, size):
        at = -(-self.top // 64) * 64
        self.top = at + size
        if (missing := self.top - self.memory.data_len(self.store)) > 0:
            self.memory.grow(self.store, -(-missing // 65536))
        return at

    def decode(self, data, octave=0, is_beginning=False):
        """The samples, or the name of the error."""
        place, header = self.take(len(data)), self.take(ctypes.sizeof(Header))
        self.memory.write(self.store, data, place)
        if error := self.call("ddc_read_header", place, len(data), header):
            return ERRORS[error]
        fields = Header.from_buffer_copy(self.memory.read(self.store, header, header + ctypes.sizeof(Header)))
        request = self.take(64)
        numbers = np.zeros(16, np.int32)
        numbers[[0, 3, 4, 7]] = octave, is_beginning, 1, -1
        self.memory.write(self.store, numbers.tobytes(), request)
        needed, size = self.call("ddc_memory", header, request), self.call("ddc_samples_bytes", header, request)
        memory, samples = self.take(needed), self.take(size)
        if error := self.call("ddc_decode", place, len(data), request, memory, needed, samples, size):
            return ERRORS[error]
        shape = self.call("ddc_rows", header, octave), self.call("ddc_columns", header, octave), fields.planes
        found = np.frombuffer(self.memory.read(self.store, samples, samples + size), fields.sample).reshape(shape)
        return found if fields.planes > 1 else found[:, :, 0]


def samples_only(whole, planes):
    """A picture without its alpha."""
    return whole[..., :3] if planes == 3 else whole.reshape(*whole.shape[:2], -1)[..., 0]


@pytest.mark.filterwarnings("ignore:There are bytes behind")
@pytest.mark.parametrize("path", VALID + SAMPLES, ids=lambda path: path.stem)
def test_valid_files(path):
    data = path.read_bytes()
    samples = Wasm().decode(data)
    assert crc32(samples.astype(samples.dtype.newbyteorder(">")).tobytes()) == read_header(data).samples_crc
    if read_header(data).arch.octaves > 1:
        small = ddcodec.decode(data, scale=2)
        planes = read_header(data).arch.planes
        assert np.array_equal(
            Wasm().decode(data, 1),
            small[..., :planes] if planes > 1 else small.reshape(small.shape[:2] + (-1,))[..., 0],
        )


@pytest.mark.parametrize(
    "path", [path for path in sorted(INVALID.glob("*.ddc")) if ".limit." not in path.name], ids=lambda path: path.stem
)
def test_invalid_files(path):
    error = Wasm().decode(path.read_bytes())
    assert isinstance(error, str) and error not in ("ok", "memory", "argument")
    assert ("unsupported" if error == "unsupported" else "damaged") == path.name.split(".")[-2]


@pytest.mark.parametrize("seed", range(20))
def test_beginnings_of_files(seed):
    """Of random networks: the octaves that are there whole, as NumPy makes them."""
    random = np.random.default_rng(seed)
    data = pack(random_coded(random, random_arch(random)))
    part = data[: int(random.integers(len(data) // 2, len(data)))]
    beginning, found = beginning_of(part), Wasm().decode(part, is_beginning=True)
    if beginning and beginning.octaves:
        assert np.array_equal(found, decode_beginning(beginning, decoder="numpy")[0].samples)
    elif beginning is None:
        assert isinstance(found, str) and found == "damaged"


def test_what_is_made_is_that_of_its_sources(tmp_path):
    """Byte for byte, on any machine."""
    assert find_spec("ziglang"), "The tests need ziglang."
    build(tmp_path, zig(), WASM)
    wasm = (tmp_path / "ddc.wasm").read_bytes()
    assert wasm == (web.FOLDER / "ddc.wasm").read_bytes()
    pages = [(web.FOLDER / "index.html").read_text("utf-8"), web.page()]
    # Not every zlib makes the same bytes.
    (first, ours), (second, wanted) = (re.subn(r'fromBase64\("([^"]+)"\)', "", page) for page in pages)
    assert first == second and ours == wanted == 1
    assert all(
        zlib.decompress(base64.b64decode(re.search(r'fromBase64\("([^"]+)"\)', page)[1])) == wasm for page in pages
    )


def test_package_json():
    package = json.loads((web.FOLDER / "package.json").read_text("utf-8"))
    assert package["version"] == ddcodec.__version__ and "dependencies" not in package
    named = {package["main"], package["types"]}
    for entry in package["exports"].values():
        named |= {entry} if isinstance(entry, str) else set(entry.values())
    assert all((web.FOLDER / name).is_file() for name in named)
    exported = re.findall(
        r"^export (?:const|async function\*?|function) (\w+)", (web.FOLDER / "ddc.js").read_text(), re.M
    )
    typed = re.findall(r"^export (?:const|function) (\w+)", (web.FOLDER / "ddc.d.ts").read_text(), re.M)
    assert sorted(exported) == sorted(typed)


# In Chromium


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; /slow/NAME comes in pieces, a moment apart."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def do_GET(self):
        if not self.path.startswith("/slow/"):
            return super().do_GET()
        data = Path(self.directory, self.path.removeprefix("/slow/")).read_bytes()
        self.send_response(200)
        self.end_headers()
        for start in range(0, len(data), 1500):
            self.wfile.write(data[start : start + 1500])
            self.wfile.flush()
            threading.Event().wait(0.03)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("There is no Chromium.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = found.new_context()
        # Other work may have all cores.
        context.set_default_timeout(120_000)
        yield context
        found.close()


@pytest.fixture(scope="module")
def site_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(site_folder):
    """The address of a server with the modules, the samples and the vectors."""
    folder = site_folder
    for path in (*web.FOLDER.glob("*.js"), web.FOLDER / "ddc.wasm", *SAMPLES, *VALID):
        shutil.copy(path, folder)
    (folder / "empty.html").write_text("<!doctype html><title>empty</title>")
    (folder / "broken.ddc").write_bytes(SAMPLES[0].read_bytes()[:-5])
    policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'"
    (folder / "strict.html").write_text(
        f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<script type="module" src="ddc-img.js"></script><ddc-img src="chelsea.ddc" width="200" height="133"></ddc-img>'
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def tab(browser, site):
    """An empty page of the site; an error on it fails the test."""
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{site}/empty.html")
    yield page
    page.close()
    assert not errors


DECODE = """async (name) => {
  const { decode, samples } = await import("./ddc.js");
  const bytes = await (await fetch(name)).arrayBuffer();
  const sum = async (data) => {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const image = await decode(bytes);
  const exact = await samples(bytes);
  return { pixels: await sum(image.data), samples: await sum(exact.samples), notes: image.notes };
}"""


def digest(samples):
    return sha256(samples.tobytes()).hexdigest()


@pytest.mark.filterwarnings("ignore:There are bytes behind")
@pytest.mark.parametrize("path", SAMPLES + VALID[::3], ids=lambda path: path.stem)
def test_chromium_decodes_the_same(tab, path):
    data = path.read_bytes()
    planes, whole = read_header(data).arch.planes, ddcodec.decode(data)
    exact = samples_only(whole, planes)
    found = tab.evaluate(DECODE, path.name)
    assert found["samples"] == digest(np.ascontiguousarray(exact))
    eight = np.rint(exact / 257).astype(np.uint8) if exact.dtype == np.uint16 else exact
    colours = eight if planes == 3 else np.stack([eight] * 3, -1)
    if not any("transparency" in note for note in found["notes"]):
        assert found["pixels"] == digest(np.dstack([colours, np.full(colours.shape[:2], 255, np.uint8)]))
    else:
        assert whole.shape[-1] in (2, 4)


def test_refusals(tab):
    said = tab.evaluate(
        """async () => {
          const { decode, info } = await import("./ddc.js");
          const bytes = new Uint8Array(await (await fetch("chelsea.ddc")).arrayBuffer());
          const flipped = bytes.slice();
          flipped[2000] ^= 1;
          const why = (promise) => promise.then(() => "fine", (error) => error.code ?? error.constructor.name);
          return Promise.all([
            why(decode(bytes.slice(0, 500))), why(decode(flipped)), why(decode(new Uint8Array(0))),
            why(decode(bytes, { scale: 3 })), why(decode(bytes, { scale: 256 })),
            why(decode(bytes, { maxPixels: 100 })), why(decode("text")),
            why(info(bytes.slice(0, 40))), why(decode(bytes)),
          ]);
        }"""
    )
    damaged = ["damaged"] * 3
    assert said == [*damaged, "RangeError", "argument", "large", "TypeError", "damaged", "fine"]


ELEMENT = """async (html) => {
  await import("./ddc-img.js");
  window.told = [];
  document.body.innerHTML = html;
  for (const one of document.querySelectorAll("ddc-img, img"))
    for (const name of ["load", "error", "preview"]) one.addEventListener(name, () => told.push([name, one.id]));
}"""


def test_the_element(tab):
    tab.evaluate(
        ELEMENT,
        "<ddc-img id=a src=chelsea.ddc alt='A cat'></ddc-img>"
        "<ddc-img id=b src=chelsea.ddc width=100></ddc-img><ddc-img id=c src=none.ddc alt='nothing there'></ddc-img>"
        "<ddc-img id=d src=broken.ddc></ddc-img><ddc-img id=e></ddc-img>",
    )
    tab.wait_for_function("told.filter(([name]) => name !== 'preview').length === 4")
    told = tab.evaluate("told")
    assert ["load", "a"] in told and ["load", "b"] in told and ["error", "c"] in told and ["error", "d"] in told
    boxes = tab.evaluate(
        "[a, b, c, e].map((one) => [one.naturalWidth, one.naturalHeight, one.offsetWidth, one.complete])"
    )
    assert boxes[0] == [451, 300, 451, True] and boxes[1] == [451, 300, 100, True]
    assert boxes[2][:2] == [0, 0] and boxes[2][2] > 0 and boxes[3] == [0, 0, 0, True]
    nodes = tab.context.new_cdp_session(tab).send("Accessibility.getFullAXTree")["nodes"]
    assert ("image", "A cat") in [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes]
    assert "nothing there" in tab.evaluate("c.shadowRoot.textContent")


def test_the_element_loads_another_file(tab):
    tab.evaluate(ELEMENT, "<ddc-img id=a src=chelsea.ddc></ddc-img>")
    tab.evaluate("a.src = 'astronaut.ddc'")
    tab.wait_for_function("told.length > 0 && a.complete")
    assert tab.evaluate("[a.naturalWidth, a.naturalHeight, told.length]") == [512, 512, 1]


def test_a_lazy_element_waits(tab):
    tab.evaluate(ELEMENT, "<div style='height: 9000px'></div><ddc-img id=a loading=lazy src=chelsea.ddc></ddc-img>")
    tab.wait_for_timeout(300)
    assert tab.evaluate("[told.length, a.complete]") == [0, False]
    tab.evaluate("window.scrollTo(0, 9000)")
    tab.wait_for_function("told.length > 0")
    assert tab.evaluate("told[0]") == ["load", "a"]


PIECES = """async ({ name, sizes }) => {
  const { pictures } = await import("./ddc.js");
  const bytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
  const results = [];
  for (const size of sizes) {
    let at = 0;
    const stream = new ReadableStream({
      pull(controller) {
        // Behind the end of the file the stream goes on for ever.
        controller.enqueue(at < bytes.length ? bytes.slice(at, at + size) : new Uint8Array(100));
        at += size;
      },
    });
    let last = null;
    try {
      for await (const one of pictures(stream)) last = one;
      results.push([last.isWhole, last.width, last.image.data.length]);
    } catch (error) {
      results.push(error.message);
    }
  }
  return results;
}"""


def test_pieces_of_any_size_make_the_picture(tab):
    """Header, chunks and section table may be cut anywhere; what is behind the end is not waited for."""
    sizes = [1, 2, 3, 7, *range(28, 48), 1000]
    for name in ("coarsest_planes_128.ddc", "chunks.ddc", "chelsea.ddc"):
        path = ROOT / "samples" / name if name == "chelsea.ddc" else make_valid.FOLDER / name
        shape = read_header(path.read_bytes()).arch.size(0)
        found = tab.evaluate(PIECES, {"name": name, "sizes": sizes if name != "chelsea.ddc" else [997]})
        assert all(one == [True, shape[1], 4 * shape[0] * shape[1]] for one in found), found


def test_a_hostile_header_is_refused(tab, site_folder):
    """A small file of as many products as the format allows."""
    arch = replace(base_arch(1500, 1500, 3), octaves=16, coarsest_planes=128, finest_channels=128, channels=128)
    arch = replace(arch, linear=0, top_channels=127, taps=4, context_channels=32)
    names = {name for name, _ in arch.tensors()}
    tensors = {name: Weights(6, np.zeros(shape, np.int64)) for name, shape in arch.tensors() if name in names}
    code = {o: np.zeros((arch.code_planes(o), *arch.size(o)), np.int32) for o in arch.coded_octaves}
    (site_folder / "hostile.ddc").write_bytes(pack(CodedImage(arch, tensors, code)))
    said = tab.evaluate(
        """async () => {
          const { decode, code } = await import("./ddc.js");
          const bytes = await (await fetch("hostile.ddc")).arrayBuffer();
          return Promise.all([decode, code].map((call) => call(bytes).then(() => "fine", (error) => error.code)));
        }"""
    )
    assert said == ["work", "work"]


STYLED = """<style>
  .tall { height: 100px } .square { width: 100px; height: 100px; object-fit: cover }
  .narrow { width: 200px } .narrow > * { max-width: 100%; height: auto }
</style>
<TAG id=plain SRC></TAG><TAG id=tall class=tall SRC></TAG><TAG id=square class=square SRC></TAG>
<TAG id=half width=50% SRC></TAG><TAG id=both width=90 height=60 SRC></TAG>
<div class=narrow><TAG id=inside width=451 height=300 SRC></TAG></div>
<div class=narrow><TAG id=waiting width=451 height=300></TAG></div>"""


def test_its_box_is_that_of_an_img(tab, site_folder):
    """Natural size, a side from a rule or an attribute, room before the picture is there."""
    Image.fromarray(np.zeros((300, 451, 3), np.uint8)).save(site_folder / "cat.png")
    boxes = {}
    for tag, src in (("img", "cat.png"), ("ddc-img", "chelsea.ddc")):
        tab.evaluate(ELEMENT, STYLED.replace("TAG", tag).replace("SRC", f"src={src}"))
        tab.wait_for_function("told.length === 6")
        boxes[tag] = tab.evaluate(
            "['plain', 'tall', 'square', 'half', 'both', 'inside', 'waiting'].map((id) => {"
            " const box = document.getElementById(id).getBoundingClientRect();"
            " return [id, Math.round(box.width), Math.round(box.height)]; })"
        )
    assert boxes["img"] == boxes["ddc-img"]


def test_a_strict_policy(browser, site):
    """Styles of the page are forbidden, and so are workers from elsewhere."""
    page = browser.new_page()
    page.goto(f"{site}/strict.html")
    wait_until(lambda: page.evaluate("document.querySelector('ddc-img').complete === true"))
    assert page.evaluate(
        "(() => { const one = document.querySelector('ddc-img');"
        " return [one.naturalWidth, one.offsetWidth, one.offsetHeight]; })()"
    ) == [451, 200, 133]
    page.close()


def test_what_changes_after_the_load(tab):
    tab.evaluate(ELEMENT, "<ddc-img id=a src=chelsea.ddc alt=''></ddc-img><ddc-img id=b src=none.ddc></ddc-img>")
    tab.wait_for_function("told.length === 2")
    tab.evaluate("b.alt = 'gone'")
    assert "gone" in tab.evaluate("b.shadowRoot.textContent")
    tab.evaluate("document.body.append(b)")  # no second attempt
    tab.evaluate("a.removeAttribute('src')")
    assert tab.evaluate("[a.offsetWidth, a.naturalWidth, a.complete, told.length]") == [0, 0, True, 2]
    roles = tab.context.new_cdp_session(tab).send("Accessibility.getFullAXTree")["nodes"]
    assert [node["name"]["value"] for node in roles if node["role"]["value"] == "image"] == ["gone"]
    tab.evaluate("a.src = 'http://['")
    assert tab.evaluate("a.src") == "http://["
    tab.wait_for_function("a.complete")
    apart = tab.evaluate(
        "(async () => { const one = document.createElement('ddc-img'); one.src = 'chelsea.ddc';"
        " await one.decode(); return one.naturalWidth; })()"
    )
    assert apart == 451


def test_previews_come_before_the_whole(tab):
    """Each is what Python makes of a file that is cut off there."""
    tab.evaluate(ELEMENT, "<ddc-img id=a src=slow/coffee.ddc></ddc-img>")
    tab.wait_for_function("told.some(([name]) => name === 'load')", timeout=60_000)
    told = [name for name, _ in tab.evaluate("told")]
    assert told[-1] == "load" and told.count("preview") >= 2


def test_the_page_stays_alive(tab, site_folder):
    """While a picture of 12 megapixels is decoded, the page goes on as before."""
    flat = np.full((3000, 4000, 3), (10, 60, 200), np.uint8)
    (site_folder / "large.ddc").write_bytes(ddcodec.encode(flat))
    longest, took, middle = tab.evaluate(
        """async () => {
          const { decode } = await import("./ddc.js");
          const bytes = await (await fetch("large.ddc")).arrayBuffer();
          let last = performance.now(), longest = 0, isDone = false;
          const tick = () => {
            longest = Math.max(longest, performance.now() - last);
            last = performance.now();
            if (!isDone) setTimeout(tick, 5);
          };
          tick();
          const start = performance.now();
          const { data } = await decode(bytes);
          isDone = true;
          return [longest, performance.now() - start, [...data.subarray(24e6, 24e6 + 4)]];
        }"""
    )
    assert middle == [10, 60, 200, 255] and longest < took / 2


# The page


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_from_disk(browser, tmp_path, width):
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto((web.FOLDER / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.get_by_text("Nothing leaves this machine").is_visible() and page.locator("main").is_hidden()
    page.set_input_files("input[type=file]", [ROOT / "samples" / "chelsea.ddc", ROOT / "samples" / "chelsea.png"])
    page.wait_for_selector("canvas.difference", state="attached")
    lead = page.locator(".lead").inner_text()
    assert "451 × 300 pixels" in lead and "10,183 bytes" in lead and re.search(r"PSNR \d\d\.\d\d dB", lead)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("Decoded", "Original", "Difference", "Bits", "Slider"):
        page.locator(f"input[value={name.lower()}]").check(force=True)
        assert page.evaluate("document.querySelector('.viewer').dataset.show") == name.lower()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").click()
    download.value.save_as(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        decoded = ddcodec.decode((ROOT / "samples" / "chelsea.ddc").read_bytes())
        assert np.array_equal(np.asarray(image.convert("RGB")), decoded)
    page.set_input_files("input[type=file]", [ROOT / "README.md"])
    page.get_by_text("README.md is no picture that this browser can read.").wait_for()
    page.set_input_files("input[type=file]", [ROOT / "samples" / "astronaut.png"])
    page.get_by_text("astronaut.png has 512 × 512 pixels: it cannot be held against chelsea.ddc.").wait_for()
    page.close()
    assert not errors


def test_files_in_any_order(browser, tmp_path):
    """An original finds its file by its name; what cannot be shown is said, and hides nothing."""
    for stem in ("chelsea", "rocket"):
        shutil.copy(ROOT / "samples" / f"{stem}.ddc", tmp_path)
    Image.fromarray(np.zeros((300, 451, 3), np.uint8)).save(tmp_path / "chelsea.png")
    Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(tmp_path / "rocket.png")
    (tmp_path / "bad.ddc").write_bytes(b"no file")
    page = browser.new_page()
    page.goto((web.FOLDER / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")

    def drop(*names):
        page.set_input_files("input[type=file]", [tmp_path / name for name in names])
        wait_until(lambda: page.evaluate("document.querySelector('input[type=file]').value === ''"))
        return page.locator("h1").inner_text(), page.locator(".error").inner_text()

    assert drop("chelsea.png", "chelsea.ddc", "rocket.ddc") == ("chelsea.ddc", "")
    assert page.locator("canvas.original").count() == 1
    title, said = drop("rocket.png", "bad.ddc")
    assert title == "rocket.ddc" and "rocket.png has 10 × 10 pixels" in said and "bad.ddc is no .ddc file." in said
    page.close()


def test_the_page_of_view(browser, tmp_path):
    from click.testing import CliRunner

    from ddcodec.cli import cli

    data = (make_valid.FOLDER / "alpha_3.ddc").read_bytes()
    (tmp_path / "a.ddc").write_bytes(data)
    made = CliRunner().invoke(cli, ["view", str(tmp_path / "a.ddc"), "-o", str(tmp_path / "a.html"), "--no-open"])
    assert made.exit_code == 0
    page = browser.new_page()
    page.goto((tmp_path / "a.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    pixels = page.evaluate(
        "(() => { const canvas = document.querySelector('canvas.decoded');"
        " return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]; })()"
    )
    whole = ddcodec.decode(data)
    found = np.array(pixels, np.uint8).reshape(*whole.shape[:2], 4)
    # A canvas keeps colours multiplied with alpha: those of transparent pixels are gone.
    assert np.array_equal(found[..., 3], whole[..., -1])
    opaque = whole[..., -1] == 255
    assert np.array_equal(found[opaque], whole[opaque])
    assert str(VERSION) in page.locator(".facts").inner_text()
    page.close()
