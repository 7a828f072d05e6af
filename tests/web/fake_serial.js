// SPDX-License-Identifier: MIT
// `navigator.serial` for tests: what Chromium's Web Serial promises and refuses, over a WebSocket to serial_server.py.
// It has only what the standard has and Earlid's page may use: a page that uses more fails here.
"use strict";
(() => {
  if (!location.host) return; // an empty page, before its first address
  const HIGHEST_BUFFER = 16 * 1024 * 1024;
  const HELD = 65536; // bytes the driver holds for a page that does not read; beyond it they are lost
  const failure = (name, message) => new DOMException(message, name);
  const answers = new Map(); // request number -> {resolve, reject}
  const ports = new Map(); // number -> FakeSerialPort; a board that was unplugged and comes back has a new number
  let requests = 0;

  const socket = new WebSocket(`ws://${location.host}/fake-serial`);
  socket.binaryType = "arraybuffer";
  const connected = new Promise((resolve) => socket.addEventListener("open", resolve));
  socket.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") {
      const bytes = new Uint8Array(data);
      ports.get(bytes[0])?._received(bytes.slice(1));
      return;
    }
    const message = JSON.parse(data);
    if (message.lost !== undefined) {
      ports.get(message.lost)?._lost();
      return;
    }
    const { resolve, reject } = answers.get(message.request);
    answers.delete(message.request);
    if (message.error) reject(failure(...message.error));
    else resolve(message);
  });
  const ask = async (what) => {
    await connected;
    const request = ++requests;
    return new Promise((resolve, reject) => {
      answers.set(request, { resolve, reject });
      socket.send(JSON.stringify({ ...what, request }));
    });
  };

  class FakeSerialPort extends EventTarget {
    #number;
    #info;
    #state = "closed"; // closed, opening, open, closing; gone for good when unplugged
    #bufferSize = 255;
    #held = [];
    #source = null; // the readable stream's controller
    #sink = null;
    #readable = null;
    #writable = null;
    #fatal = false;

    constructor(number, info) {
      super();
      this.#number = number;
      this.#info = info;
    }

    getInfo() {
      return { ...this.#info };
    }

    async open(options) {
      if (options === undefined || !Number.isInteger(options.baudRate)) throw new TypeError("Required member baudRate is undefined.");
      const { baudRate, bufferSize = 255, dataBits = 8, stopBits = 1, parity = "none", flowControl = "none" } = options;
      if (this.#state === "opening") throw failure("InvalidStateError", "A call to open() is already in progress.");
      if (this.#state === "open" || this.#state === "closing") throw failure("InvalidStateError", "The port is already open.");
      if (baudRate <= 0) throw new TypeError("Requested baud rate must be greater than zero.");
      if (bufferSize <= 0 || bufferSize > HIGHEST_BUFFER) throw new TypeError("Requested buffer size is out of range.");
      if (![7, 8].includes(dataBits) || ![1, 2].includes(stopBits)) throw new TypeError("Requested bits are out of range.");
      if (!["none", "even", "odd"].includes(parity) || !["none", "hardware"].includes(flowControl)) throw new TypeError("No such value.");
      if (this.#state === "gone") throw failure("NetworkError", "Failed to open serial port.");
      this.#state = "opening";
      try {
        await ask({ do: "open", port: this.#number, baud: baudRate });
      } catch (error) {
        if (this.#state === "opening") this.#state = "closed";
        throw error;
      }
      this.#bufferSize = bufferSize;
      this.#fatal = false;
      this.#held = [];
      this.#state = "open";
    }

    get readable() {
      if (this.#state !== "open" || this.#fatal) return null;
      if (this.#readable) return this.#readable;
      const port = this;
      this.#readable = new ReadableStream(
        {
          type: "bytes",
          start(controller) {
            port.#source = controller;
            for (const bytes of port.#held.splice(0)) controller.enqueue(bytes);
          },
          cancel() {
            port.#source = port.#readable = null;
          },
        },
        { highWaterMark: this.#bufferSize },
      );
      return this.#readable;
    }

    get writable() {
      if (this.#state !== "open" || this.#fatal) return null;
      if (this.#writable) return this.#writable;
      const port = this;
      this.#writable = new WritableStream(
        {
          start(controller) {
            port.#sink = controller;
          },
          write(chunk) {
            if (!(chunk instanceof ArrayBuffer) && !ArrayBuffer.isView(chunk)) throw new TypeError("Not a buffer source.");
            const bytes = chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
            const framed = new Uint8Array(bytes.length + 1);
            framed[0] = port.#number;
            framed.set(bytes, 1);
            socket.send(framed);
          },
          close() {
            port.#sink = port.#writable = null;
          },
          abort() {
            port.#sink = port.#writable = null;
          },
        },
        new ByteLengthQueuingStrategy({ highWaterMark: this.#bufferSize }),
      );
      return this.#writable;
    }

    async setSignals(signals = {}) {
      if (this.#state !== "open") throw failure("InvalidStateError", "The port is closed.");
      const { dataTerminalReady: dtr, requestToSend: rts, break: pause } = signals;
      if (dtr === undefined && rts === undefined && pause === undefined) {
        throw new TypeError("Signals dictionary must contain at least one member.");
      }
      await ask({ do: "signals", port: this.#number, dtr, rts });
    }

    async close() {
      if (this.#state !== "open") throw failure("InvalidStateError", "The port is already closed.");
      if (this.#readable?.locked) throw new TypeError("Cannot cancel a locked stream");
      if (this.#writable?.locked) throw new TypeError("Cannot abort a locked stream");
      await Promise.all([this.#readable?.cancel(), this.#writable?.abort()]);
      this.#state = "closing";
      try {
        await ask({ do: "close", port: this.#number });
      } finally {
        if (this.#state === "closing") this.#state = "closed";
      }
    }

    _received(bytes) {
      if (this.#state !== "open") return;
      if (this.#source) this.#source.enqueue(bytes);
      else if (this.#held.reduce((sum, piece) => sum + piece.length, 0) + bytes.length <= HELD) this.#held.push(bytes);
    }

    _lost() {
      ports.delete(this.#number);
      const lost = failure("NetworkError", "The device has been lost.");
      const [source, sink] = [this.#source, this.#sink];
      this.#source = this.#sink = this.#readable = this.#writable = null;
      this.#fatal = true;
      this.#state = "gone";
      source?.error(lost);
      sink?.error(lost);
      tell(this, "disconnect");
    }
  }

  class FakeSerial extends EventTarget {
    async getPorts() {
      const { granted } = await ask({ do: "ports" });
      return granted.map(known);
    }

    async requestPort({ filters = [] } = {}) {
      if (!navigator.userActivation.isActive) {
        throw failure("SecurityError", "Must be handling a user gesture to show a permission request.");
      }
      const { chosen } = await ask({ do: "choose", filters });
      if (!chosen) throw failure("NotFoundError", "No port selected by the user.");
      return known(chosen);
    }
  }

  const serial = new FakeSerial();
  const known = ({ number, info }) => {
    if (!ports.has(number)) ports.set(number, new FakeSerialPort(number, info));
    return ports.get(number);
  };
  const tell = (port, what) => {
    port.dispatchEvent(new Event(what));
    const bubbled = new Event(what);
    Object.defineProperty(bubbled, "target", { value: port });
    serial.dispatchEvent(bubbled);
  };
  Object.defineProperty(Navigator.prototype, "serial", { get: () => serial, configurable: true });
})();
