// Run a page's cells in the page, on a server that is asked only when the reader presses the button.
//
// book/_ext/live.py says what is written into the page; thebe-core speaks with the kernel. What is
// typed here runs with the reader's own rights on the reader's own server, as in a notebook.
(() => {
  "use strict";

  const KEY = "live-server";
  const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);

  // `make live` prints an address that ends in #live=PORT:TOKEN. Only a page that came from this
  // computer believes it: elsewhere, a link could name a server of somebody else's.
  function rememberServer() {
    const found = /^#live=(\d+):([\w-]+)$/.exec(location.hash);
    if (!LOOPBACK || !found) return;
    localStorage.setItem(KEY, JSON.stringify({ port: found[1], token: found[2] }));
    history.replaceState(null, "", location.pathname + location.search);
  }

  function localServer() {
    const kept = LOOPBACK && JSON.parse(localStorage.getItem(KEY) ?? "null");
    return kept && { address: `http://${location.hostname}:${kept.port}/`, token: kept.token, made: true };
  }

  // A browser shows a script that it can read; a reader who takes it away wants the file.
  function saveDownloads() {
    for (const link of document.querySelectorAll(".dropdown-download-buttons a[href*='_sources/']")) {
      link.download = link.href.split("/").pop();
    }
  }

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function button(text, act, properties = {}) {
    const made = element("button", { type: "button", textContent: text, ...properties });
    made.addEventListener("click", act);
    return made;
  }

  rememberServer();
  saveDownloads();
  const data = document.getElementById("live-settings");
  if (!data) return;
  const settings = JSON.parse(data.textContent);

  /** One code cell: where it stands, what it holds, and which code of it the kernel has run. */
  class Cell {
    constructor(number, { place, code }, boxes) {
      this.number = number;
      this.box = boxes[place];
      this.hiddenCode = code;
      this.ran = null;
      this.input = this.box?.querySelector(".cell_input pre");
      this.original = this.code();
    }

    code() {
      if (!this.input) return this.hiddenCode ?? "";
      const text = this.input.checkVisibility?.() ? this.input.innerText : this.input.textContent;
      return text.replace(/\u00a0/g, " ").replace(/\n+$/, "");
    }

    get fresh() {
      return this.ran !== null && this.ran === this.code();
    }

    /** Let the reader change and run the cell. */
    open(page) {
      if (!this.input) return;
      Object.assign(this.input, { spellcheck: false, tabIndex: 0 });
      this.input.setAttribute("contenteditable", "plaintext-only");
      // A browser that does not know this value leaves the element as it was.
      if (!this.input.isContentEditable) this.input.setAttribute("contenteditable", "true");
      for (const [name, value] of [
        ["role", "textbox"],
        ["aria-multiline", "true"],
        ["aria-label", `Code of cell ${this.number}`],
        ["autocapitalize", "off"],
      ]) {
        this.input.setAttribute(name, value);
      }
      this.input.addEventListener("keydown", (event) => this.key(event, page));
      this.input.addEventListener("input", () => this.show());
      this.state = element("span", { className: "live-state" });
      this.undo = button("Undo changes", () => this.restore(), { hidden: true });
      this.undo.setAttribute("aria-label", `Undo changes of cell ${this.number}`);
      const run = button("Run", () => page.runTo(this));
      run.setAttribute("aria-label", `Run cell ${this.number}`);
      const tools = element("div", { className: "live-tools" }, run, this.undo, this.state);
      const output = this.box.querySelector(":scope > .cell_output");
      if (output) output.before(tools);
      else this.box.append(tools);
      this.show();
    }

    key(event, page) {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (event.ctrlKey || event.metaKey || event.shiftKey) {
        page.runTo(this);
        return;
      }
      // A new line begins where the last one did; Tab is left to those who move by keyboard.
      const range = document.createRange();
      range.selectNodeContents(this.input);
      const at = getSelection().getRangeAt(0);
      range.setEnd(at.startContainer, at.startOffset);
      const line = range.toString().split("\n").pop();
      const deeper = line.trimEnd().endsWith(":") ? "    " : "";
      document.execCommand("insertText", false, `\n${/^ */.exec(line)[0]}${deeper}`);
    }

    restore() {
      this.input.textContent = `${this.original}\n`;
      this.input.focus();
      this.show();
    }

    show(words) {
      if (!this.state) return;
      this.undo.hidden = this.code() === this.original;
      const changed = this.ran !== null && !this.fresh;
      this.state.textContent = words ?? (this.fresh ? "done" : changed ? "changed, not run" : "not run");
    }

    /** Put what the kernel sends where the output of the build was; its caption stays. */
    makeRoom(core, config, rendermime) {
      if (this.thebe) return;
      this.thebe = new core.module.ThebeCodeCell(
        `live-${this.number}`, "page", "", config, {}, rendermime,
      );
      const host = element("div", { className: "live-output" });
      if (this.box) {
        let output = this.box.querySelector(":scope > .cell_output");
        if (!output) {
          output = element("div", { className: "cell_output docutils container" });
          this.box.append(output);
        }
        this.pictures = [...output.querySelectorAll("img")].map((image) => image.alt);
        const figures = [...output.querySelectorAll("figure")];
        for (const figure of figures) {
          figure.replaceChildren(...figure.querySelectorAll(":scope > figcaption"));
        }
        output.replaceChildren(host, ...figures);
      }
      this.thebe.attachToDOM(host);
      this.host = host;
    }

    describePictures() {
      [...this.host.querySelectorAll("img")].forEach((image, index) => {
        const built = this.pictures?.[index];
        image.alt = `Picture by cell ${this.number}, run here${built ? `; as built: ${built}` : ""}`;
      });
    }
  }

  /** The page: its bar, its cells and its kernel. */
  class Page {
    constructor() {
      const boxes = [...document.querySelectorAll("article div.cell.docutils")];
      this.cells = settings.cells.map((each, index) => new Cell(index + 1, each, boxes));
      this.server = localServer();
      this.busy = false;
      this.status = element("p", { className: "live-status" });
      this.status.setAttribute("role", "status");
      this.start = button("Run this page", () => this.begin(), { className: "live-start" });
      this.where = element("span", { className: "live-where" });
      this.tools = element("span", { className: "live-tools", hidden: true },
        button("Run all cells", () => this.runTo(this.cells.at(-1))),
        button("Stop", () => this.stop()),
        button("Restart", () => this.restart()),
      );
      this.bar = element("section", { className: "live-bar" },
        this.start, this.tools, this.where, this.otherServer(), this.status);
      this.bar.setAttribute("aria-label", "Run this page");
      const after = document.querySelector("article .page-head") ?? document.querySelector("article h1");
      after.after(this.bar);
      this.sayWhere();
    }

    say(words, kind = "") {
      this.status.textContent = words;
      this.status.dataset.kind = kind;
    }

    place() {
      if (this.server?.made) return "the server that make live started on this computer";
      if (this.server) return this.server.address;
      return settings.binder && new URL(settings.binder.binderUrl).host;
    }

    sayWhere() {
      const place = this.place();
      this.start.hidden = !place;
      this.where.textContent = place
        ? `Makes the code below editable and runs it on ${place}, which is not asked before you press.`
        : "To run the code below in the page, name a Jupyter server.";
    }

    /** A form for whoever has a server: of a hub, of a class, or of their own. */
    otherServer() {
      const field = (label, properties) => {
        const input = element("input", { required: true, autocomplete: "off", ...properties });
        return [element("label", {}, `${label} `, input), input];
      };
      const [addressLabel, address] = field("Address", {
        type: "url", placeholder: "http://127.0.0.1:8888/",
      });
      const [tokenLabel, token] = field("Token", { type: "password" });
      const form = element("form", {}, addressLabel, tokenLabel,
        element("button", { type: "submit", textContent: "Run on this server" }));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.server = { address: address.value.replace(/\/*$/, "/"), token: token.value };
        this.sayWhere();
        this.begin();
      });
      this.other = element("details", {},
        element("summary", { textContent: "Another Jupyter server" }),
        element("p", {
          textContent: "Of a hub, or your own: started in a copy of the book with "
            + `jupyter server --ServerApp.allow_origin=${location.origin}. `
            + "The token is kept in this page alone.",
        }),
        form);
      return this.other;
    }

    async begin() {
      if (this.session || this.busy) return;
      this.busy = true;
      this.start.disabled = true;
      try {
        await this.connect();
      } catch (error) {
        this.start.disabled = false;
        // The button lost it when it was disabled.
        if (document.activeElement === document.body) this.start.focus();
        this.say(`Not started: ${error.message ?? error}`, "failed");
        return;
      } finally {
        this.busy = false;
      }
      this.start.hidden = this.where.hidden = this.other.hidden = true;
      this.tools.hidden = false;
      this.bar.classList.add("live-on");
      this.cells.forEach((cell) => cell.open(this));
      if (document.activeElement === document.body) this.tools.firstElementChild.focus();
      this.say("Ready. Run on a cell runs first those above it that have not run. "
        + "Numbers in the text stay those of the build.", "ready");
    }

    async connect() {
      this.say("Starting: loading the library …", "starting");
      await loadScript(settings.library);
      this.core = globalThis.thebeCore;
      const options = { mathjaxUrl: "", mathjaxConfig: "" };
      if (this.server) {
        await askServer(this.server);
        const { address, token } = this.server;
        options.serverSettings = {
          baseUrl: address, wsUrl: address.replace(/^http/, "ws"), token, appendToken: true,
        };
      } else {
        options.binderOptions = settings.binder;
      }
      const events = this.core.api.makeEvents();
      events.on("status", (_, { subject, message }) => this.heard(subject, message));
      this.config = this.core.api.makeConfiguration(options, events);
      this.rendermime = this.core.api.makeRenderMimeRegistry({ mathjaxUrl: "", mathjaxConfig: "" });
      this.say(`Starting: asking ${this.place()} …`, "starting");
      const connect = this.server ? "connectToJupyter" : "connectToBinder";
      const server = this.core.api[connect](this.config);
      try {
        await server.ready;
      } catch (reason) {
        throw new Error(this.server ? unreachable(this.server) : noBinder(settings.binder, reason));
      }
      this.say("Starting: waiting for the kernel …", "starting");
      // A name of its own for each visit: two pages do not share a kernel. The folder counts.
      const path = settings.path.replace(/\.md$/, `-${crypto.getRandomValues(new Uint32Array(1))}.ipynb`);
      this.session = await server.startNewSession(this.rendermime, { path, kernelName: "python3" });
      await this.session.kernel.info;
      addEventListener("pagehide", (event) => event.persisted || this.session.shutdown());
    }

    heard(subject, message) {
      if (subject === "server" && !this.session && message.startsWith("Binder is:")) {
        this.say(`Starting: ${message.trim()} (the first start may take minutes)`, "starting");
      }
    }

    /** Run a cell and, before it, those above that have not run as they stand. */
    async runTo(last) {
      if (this.busy) {
        this.say("Still running: wait, or press Stop.", "busy");
        return;
      }
      this.busy = true;
      const index = this.cells.indexOf(last);
      const wanted = this.cells.slice(0, index + 1).filter((cell) => cell === last || !cell.fresh);
      const above = wanted.length - 1;
      try {
        for (const [done, cell] of wanted.entries()) {
          const first = above ? `, ${done + 1} of ${wanted.length}` : "";
          this.say(`Running cell ${cell.number}${first} …`, "busy");
          const failure = await this.run(cell);
          if (failure) {
            const rest = above - done;
            const left = rest ? ` The ${rest} after it did not run.` : "";
            this.say(`Failed: cell ${cell.number}, ${failure}.${left}`, "failed");
            return;
          }
        }
        this.say(above
          ? `Ready. Ran ${above} ${above === 1 ? "cell" : "cells"} above, and cell ${last.number}.`
          : `Ready. Ran cell ${last.number}.`, "ready");
      } finally {
        this.busy = false;
      }
    }

    /** Run one cell; say what went wrong, if something did. */
    async run(cell) {
      const code = cell.code();
      cell.makeRoom(this.core, this.config, this.rendermime);
      cell.thebe.attachSession(this.session);
      cell.show("running …");
      const answer = await cell.thebe.execute(code);
      if (cell.box) cell.describePictures();
      if (answer && !answer.error) {
        cell.ran = code;
        cell.show();
        return null;
      }
      cell.ran = null;
      cell.show("failed");
      if (answer) {
        const { ename, evalue } = answer.error[0];
        return ename === "KeyboardInterrupt" ? "stopped by you" : `${ename}: ${evalue}`.split("\n")[0];
      }
      this.forget();
      return "whose kernel ended, perhaps for want of memory: press Restart, then run again";
    }

    forget() {
      for (const cell of this.cells) {
        cell.ran = null;
        cell.show();
      }
    }

    async stop() {
      if (this.busy) await this.session.kernel.interrupt();
      else this.say("Nothing is running.", "ready");
    }

    async restart() {
      this.say("Starting: a new kernel …", "starting");
      try {
        await this.session.restart();
      } catch (error) {
        this.say(`Failed: the kernel did not restart (${error.message}). Load the page again.`, "failed");
        return;
      }
      this.forget();
      this.say("Ready. The kernel is new: no cell has run.", "ready");
    }
  }

  function loadScript(address) {
    if (globalThis.thebeCore) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const script = element("script", { src: address });
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => {
        script.remove();
        reject(new Error(`${address} is missing from this copy of the site`));
      });
      document.head.append(script);
    });
  }

  /** Tell a server that is not there from one that does not take the token. */
  async function askServer(server) {
    const ask = (path) => fetch(`${server.address}${path}`, {
      headers: { Authorization: `token ${server.token}` }, signal: AbortSignal.timeout(10_000),
    });
    try {
      await ask("api");
    } catch {
      throw new Error(unreachable(server));
    }
    const answer = await ask("api/status").catch(() => null);
    if (!answer?.ok) throw new Error(refused(server));
  }

  function unreachable(server) {
    return server.made
      ? `no server answers at ${server.address}. Is make live still running? Open the address it prints.`
      : `no server that allows this page answers at ${server.address}. Check the address, and that `
        + `it was started with --ServerApp.allow_origin=${location.origin}.`;
  }

  function refused(server) {
    return server.made
      ? `${server.address} does not take this token. Open the address that make live printed last.`
      : `${server.address} does not take this token. Copy it again from the server.`;
  }

  function noBinder(binder, reason) {
    const why = /phase: unknown/.test(reason) ? "it does not answer" : String(reason).trim();
    return `Binder at ${binder.binderUrl} could not start the book: ${why}. Try again later, or `
      + "run the book on your computer with make live.";
  }

  new Page();
})();
