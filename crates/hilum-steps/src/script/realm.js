// The world that scripts see: made once for each thread, frozen, and shared by all scripts.
// Nothing here keeps a value between calls except what the host sets at the start of each.
(function (host) {
  "use strict";
  let now = 0;
  let seed = 0;

  // One time for the whole call, and UTC everywhere, so that a replay gives the same result.
  const RealDate = Date;
  const utc = RealDate.UTC;
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/i;
  const parse = (value) => {
    if (typeof value === "string" && /^[+-]?\d{4,6}-\d\d-\d\dT/.test(value) && !zoned.test(value)) {
      return RealDate.parse(value + "Z");
    }
    return RealDate.parse(value);
  };
  function HilumDate(...given) {
    if (!new.target) return new RealDate(now).toUTCString();
    let args = given;
    if (given.length === 0) args = [now];
    else if (given.length > 1) args = [utc(...given)];
    else if (typeof given[0] === "string") args = [parse(given[0])];
    return Reflect.construct(RealDate, args, new.target);
  }
  HilumDate.prototype = RealDate.prototype;
  HilumDate.now = () => now;
  HilumDate.parse = parse;
  HilumDate.UTC = utc;
  const dates = RealDate.prototype;
  for (const name of Object.getOwnPropertyNames(dates)) {
    const local = name.replace("UTC", "");
    if (local !== name && local in dates) dates[local] = dates[name];
  }
  for (const name of ["toString", "toLocaleString"]) dates[name] = dates.toUTCString;
  for (const name of ["toDateString", "toLocaleDateString"]) {
    dates[name] = function () { return this.toISOString().slice(0, 10); };
  }
  for (const name of ["toTimeString", "toLocaleTimeString"]) {
    dates[name] = function () { return this.toISOString().slice(11, 19); };
  }
  dates.getTimezoneOffset = () => 0;
  dates.constructor = HilumDate;
  globalThis.Date = HilumDate;

  Math.random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  class Rejected {
    constructor(code) { this.code = code; }
  }

  const texts = (value) => {
    if (value === null || value === undefined) return [];
    return (Array.isArray(value) ? value : [value]).map(String);
  };

  class Segment {
    #message; #place; #id;
    constructor(message, place, id) { this.#message = message; this.#place = place; this.#id = id; }
    get id() { return this.#id; }
    get path() { return this.#place; }
    get(field) { return this.#message.get(`${this.#place}-${field}`); }
    getAll(field) { return this.#message.getAll(`${this.#place}-${field}`); }
    set(field, value) { this.#message.set(`${this.#place}-${field}`, value); }
    delete() { this.#message.delete(this.#place); }
  }

  class Message {
    #at;
    constructor(at) { this.#at = at; }
    static place(value) {
      if (typeof value !== "object" || value === null || !(#at in value)) {
        throw new TypeError("a script returns nothing, true, false, a message or a list of messages");
      }
      return value.#at;
    }
    get(path) { return host.get(this.#at, String(path)) ?? null; }
    getAll(path) { return host.getAll(this.#at, String(path)); }
    set(path, value) { host.set(this.#at, String(path), texts(value)); }
    delete(path) { host.delete(this.#at, String(path)); }
    segments(id) {
      const found = host.segments(this.#at, id === undefined ? "" : String(id));
      return found.map(([place, name]) => new Segment(this, place, name));
    }
    meta(name) { return host.meta(this.#at, String(name)) ?? null; }
    setMeta(name, value) { host.setMeta(this.#at, String(name), texts(value)); }
    get text() { return host.text(this.#at); }
    set text(value) { host.setText(this.#at, String(value)); }
    get json() { return JSON.parse(host.text(this.#at)); }
    set json(value) { host.setText(this.#at, JSON.stringify(value)); }
    copy() { return new Message(host.copy(this.#at)); }
  }

  class Context {
    get arrived() { return new HilumDate(now); }
    get channel() { return host.channel(); }
    get original() {
      const at = host.original() ?? null;
      return at === null ? null : new Message(at);
    }
    get id() { return host.id(); }
    flag(code, path) { host.flag(String(code), path === undefined ? "" : String(path)); }
    reject(code) { throw new Rejected(String(code)); }
  }
  const context = new Context();

  // No code from text: what makes functions from strings goes, also where it is only reachable.
  const makers = [
    function () {}, function* () {}, async function () {}, async function* () {},
  ];
  for (const maker of makers) {
    Object.defineProperty(Object.getPrototypeOf(maker), "constructor", { value: undefined });
  }
  for (const name of ["eval", "Function", "WeakRef", "FinalizationRegistry", "performance", "queueMicrotask", "print", "console"]) {
    delete globalThis[name];
  }

  // An object may have a property that its frozen prototype has too: errors have messages.
  const tame = (prototype, names) => {
    for (const name of names) {
      const value = prototype[name];
      Object.defineProperty(prototype, name, {
        get() { return value; },
        set(own) {
          if (this === prototype) throw new TypeError("built-in objects cannot be changed");
          Object.defineProperty(this, name, { value: own, writable: true, enumerable: true, configurable: true });
        },
        configurable: false,
      });
    }
  };
  for (const kind of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
    tame(kind.prototype, ["message", "name"]);
  }
  tame(Object.prototype, ["toString", "valueOf"]);

  const seen = new Set();
  const freeze = (value) => {
    if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) return;
    seen.add(value);
    freeze(Object.getPrototypeOf(value));
    for (const key of Reflect.ownKeys(value)) {
      const property = Object.getOwnPropertyDescriptor(value, key);
      freeze(property.value);
      freeze(property.get);
      freeze(property.set);
    }
    Object.freeze(value);
  };
  for (const value of [Message, Segment, Context, Rejected, context, HilumDate]) freeze(value);
  for (const maker of makers) freeze(Object.getPrototypeOf(maker));
  freeze(Object.getPrototypeOf([][Symbol.iterator]()));
  freeze(Object.getPrototypeOf(""[Symbol.iterator]()));
  freeze(Object.getPrototypeOf(new Map().entries()));
  freeze(Object.getPrototypeOf(new Set().values()));
  freeze(Object.getPrototypeOf("".matchAll(/x/g)));
  freeze(globalThis);

  // Runs one script: `make` gives its function, made anew so that nothing outlives the call.
  return (make, at, random) => {
    now = at;
    seed = random;
    try {
      const result = make()(new Message(0), context);
      if (result === undefined || result === true) return ["next", 0];
      if (result === false) return ["filtered"];
      if (Array.isArray(result)) return ["split", ...result.map(Message.place)];
      return ["next", Message.place(result)];
    } catch (error) {
      if (error instanceof Rejected) return ["reject", error.code];
      throw error;
    }
  };
})
