/**
 * What a script of hilum sees. A script is one file with one function:
 *
 *     export default function (msg: Message, ctx: Context) { … }
 *
 * It returns nothing or `true` (the message goes on), `false` (it is filtered), a message (that
 * one goes on instead) or a list of messages (the message is split). What it throws rejects the
 * message; the record names the kind of error and its line, never its text. Nothing survives a
 * call, there is no input or output, and built-in objects cannot be changed.
 */

/** A value to write: `null` or an empty list clears the place. */
type Value = string | number | boolean | null | Array<string | number | boolean>;

/** A message. Paths are those of its format, such as `PID-3[1].1` or `Patient.name[0].family`. */
interface Message {
  /** The first value of an expression, or `null`. */
  get(path: string): string | null;
  /** All values of an expression. */
  getAll(path: string): string[];
  /** Writes a place; a list goes to a path with `[*]`. */
  set(path: string, value: Value): void;
  /** Removes a place with all below it. */
  delete(path: string): void;
  /** HL7 v2: the segments, or those with an id. */
  segments(id?: string): Segment[];
  /** A named value beside the message, or `null`. */
  meta(name: string): string | null;
  /** Sets a named value; `null` removes it. */
  setMeta(name: string, value: Value): void;
  /** The whole message as text; assigning replaces it. */
  text: string;
  /** JSON: the whole message as an object; assigning replaces it. Numbers become those of JavaScript. */
  json: any;
  /** A copy that is changed on its own, to be returned in a list. */
  copy(): Message;
}

/** A segment of an HL7 v2 message. */
interface Segment {
  /** Its id, such as `OBX`. */
  readonly id: string;
  /** Its place, such as `OBX[2]`; places of later segments change when one is removed. */
  readonly path: string;
  /** The first value of a field (`5`, `3.1`), or `null`. */
  get(field: string | number): string | null;
  /** All values of a field. */
  getAll(field: string | number): string[];
  /** Writes a field. */
  set(field: string | number, value: Value): void;
  /** Removes the segment. */
  delete(): void;
}

/** What is known beside the message. */
interface Context {
  /** When the message arrived; `new Date()` gives the same. */
  readonly arrived: Date;
  /** The name of the channel. */
  readonly channel: string;
  /**
   * In a channel of replies: the message that asked, in its own format. It may be changed and
   * returned, and then goes on in place of the reply; steps behind the script are still written in
   * the format of the channel.
   */
  readonly original: Message | null;
  /** The id of the message. */
  readonly id: string;
  /** Notes a finding: a code of small letters, digits and hyphens, and a place. */
  flag(code: string, path?: string): void;
  /** Rejects the message with a code of small letters, digits and hyphens. */
  reject(code: string): never;
}
