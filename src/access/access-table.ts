/**
 * ○ Who may what: an identity (the name of PLAIN or SASL, a CURVE key, a certificate, a token) is a user, a user has roles, a role has
 * rights. What the user `*` may, everybody may, also who has no name; without `*` who has no name may nothing. Nothing here says who
 * somebody is: the parts ask, with what the peer has proved.
 */
import { Buffer } from "node:buffer";
import { sameBytes } from "../core/bytes.ts";
import { UsageError } from "../core/errors.ts";
import { type Action, readGrant, type Grant } from "./right.ts";

/** Anybody. */
export const ANYBODY = "*";

export interface AccessUser {
  readonly name: string;
  readonly roles: readonly string[];
  readonly password?: string;
  readonly token?: string;
  readonly curveKey?: string;
  readonly certificate?: string;
}

/** Why somebody may, or may not, do something. */
export interface Explanation {
  readonly isAllowed: boolean;
  /** Whose right it is: the user's own, or everybody's (`*`). */
  readonly user: string;
  readonly role?: string;
  /** The row that allows it, as it stands in the file. */
  readonly row?: string;
}

/** What one user may do. */
export interface Rights {
  readonly user: string;
  may(action: Action, name: string): boolean;
  /** Whatever the name is. */
  mayAll(action: Action): boolean;
  /** With some name, or with all. */
  mayAny(action: Action): boolean;
}

/** The rights of somebody who asks a server: what is refused is counted and logged. */
export interface AskedRights extends Rights {
  /** @throws UsageError ACCESS_DENIED */
  must(action: Action, name: string): void;
  /** Counts and logs a refusal. @returns what is told to who asked */
  refused(action: Action, name?: string): UsageError;
}

export class AccessTable {
  readonly #roles: ReadonlyMap<string, readonly Grant[]>;
  readonly #users: ReadonlyMap<string, AccessUser>;
  readonly #rights = new Map<string, Rights>();

  constructor(roles: ReadonlyMap<string, readonly Grant[]>, users: ReadonlyMap<string, AccessUser>) {
    this.#roles = roles;
    this.#users = users;
  }

  has(user: string): boolean {
    return this.#users.has(user);
  }

  get users(): readonly AccessUser[] {
    return [...this.#users.values()];
  }

  /** @param user undefined: who has no name */
  rightsOf(user: string | undefined): Rights {
    // A name that nobody has is not remembered: a peer may make up as many as it likes.
    const known = user !== undefined && this.#users.has(user) ? user : ANYBODY;
    let rights = this.#rights.get(known);
    if (!rights) this.#rights.set(known, (rights = this.#makeRights(known)));
    return rights;
  }

  explain(user: string, action: Action, name: string): Explanation {
    for (const who of [user, ANYBODY]) {
      for (const role of this.#users.get(who)?.roles ?? []) {
        const row = this.#roles.get(role)?.find(({ actions, matches }) => actions.has(action) && matches(name));
        if (row) return { isAllowed: true, user: who, role, row: row.text };
      }
    }
    return { isAllowed: false, user };
  }

  /** All that a user may, for comparing. */
  rowsOf(user: string): readonly string[] {
    return this.#rows(user).map(({ text }) => text);
  }

  // ---- who somebody is. All are compared, so that the time says nothing of which one it is.

  withPassword(name: string, password: string): AccessUser | undefined {
    const user = this.#users.get(name);
    return user?.password !== undefined && isSame(user.password, password) ? user : undefined;
  }

  withToken(token: string): AccessUser | undefined {
    return this.#find((user) => user.token !== undefined && isSame(user.token, token));
  }

  withCurveKey(key: string): AccessUser | undefined {
    return this.#find((user) => user.curveKey === key);
  }

  withCertificate(commonName: string): AccessUser | undefined {
    return this.#find((user) => user.certificate === commonName);
  }

  #find(is: (user: AccessUser) => boolean): AccessUser | undefined {
    let found: AccessUser | undefined;
    for (const user of this.#users.values()) if (is(user)) found = user;
    return found;
  }

  #rows(user: string): readonly Grant[] {
    const names = new Set([user, ANYBODY].flatMap((who) => this.#users.get(who)?.roles ?? []));
    return [...names].flatMap((role) => this.#roles.get(role) ?? []);
  }

  #makeRights(user: string): Rights {
    const byAction = new Map<Action, Grant[]>();
    for (const row of this.#rows(user)) {
      for (const action of row.actions) {
        const rows = byAction.get(action);
        if (rows) rows.push(row);
        else byAction.set(action, [row]);
      }
    }
    const rowsFor = (action: Action): readonly Grant[] => byAction.get(action) ?? [];
    return {
      user,
      may: (action, name) => rowsFor(action).some((row) => row.matches(name)),
      mayAll: (action) => rowsFor(action).some((row) => row.isForAll),
      mayAny: (action) => rowsFor(action).length > 0,
    };
  }
}

function isSame(one: string, other: string): boolean {
  return sameBytes(Buffer.from(one), Buffer.from(other));
}

/** 16 characters: too long to guess. */
const TOKEN_CHARS_MIN = 16;

/** What a user may have, and what it must be. Secrets are not told. */
const USER_FIELDS: Readonly<Record<string, { readonly is: (value: string) => boolean; readonly must: string }>> = {
  password: { is: (value) => value !== "", must: "a text" },
  token: { is: (value) => value.length >= TOKEN_CHARS_MIN, must: `a text of ${TOKEN_CHARS_MIN} characters at least` },
  curveKey: { is: (value) => /^\S{40}$/.test(value), must: "a public key of CURVE (Z85, 40 characters)" },
  certificate: { is: (value) => value !== "", must: "the common name (CN) of a certificate's subject" },
};

/**
 * @param content the file's JSON
 * @param file its name, for the errors
 * @throws UsageError ACCESS_FILE_INVALID with the place in the file
 */
export function readAccess(content: unknown, file: string): AccessTable {
  const at = (place: string): string => `${file}, ${place}`;
  const { $schema: _, roles = {}, users = {}, ...more } = objectAt(content, file);
  for (const name of Object.keys(more)) throw invalid(at(name), "there are only 'roles' and 'users'");
  const read = new Map<string, readonly Grant[]>();
  for (const [role, rows] of Object.entries(objectAt(roles, at("roles")))) {
    const texts = textsAt(rows, at(`roles.${role}`));
    read.set(
      role,
      texts.map((text, index) => readGrant(text, at(`roles.${role}[${index}]`))),
    );
  }
  const known = new Map<string, AccessUser>();
  const proofs = new Map<string, string>();
  for (const [name, given] of Object.entries(objectAt(users, at("users")))) {
    const place = `users.${name}`;
    const user = readUser(name, objectAt(given, at(place)), { place, at });
    for (const role of user.roles)
      if (!read.has(role)) throw invalid(at(`${place}.roles`), `there is no role '${role}' in 'roles'`);
    for (const field of ["token", "curveKey", "certificate"] as const) {
      if (user[field] === undefined) continue;
      const proof = `${field} ${user[field]}`;
      const other = proofs.get(proof);
      if (other !== undefined)
        throw invalid(at(`${place}.${field}`), `users.${other} has the same: nobody could tell them apart`);
      proofs.set(proof, name);
    }
    known.set(name, user);
  }
  return new AccessTable(read, known);
}

function readUser(
  name: string,
  { roles = [], ...fields }: Record<string, unknown>,
  { place, at }: { readonly place: string; readonly at: (place: string) => string },
): AccessUser {
  if (name === ANYBODY && Object.keys(fields).length > 0)
    throw invalid(at(place), "'*' is whoever comes: it has roles, and nothing to prove itself with");
  for (const [field, value] of Object.entries(fields)) {
    const rule = USER_FIELDS[field];
    if (!rule) throw invalid(at(`${place}.${field}`), `a user has roles, ${Object.keys(USER_FIELDS).join(", ")}`);
    if (typeof value !== "string" || !rule.is(value)) throw invalid(at(`${place}.${field}`), `it must be ${rule.must}`);
  }
  return { name, roles: textsAt(roles, at(`${place}.roles`)), ...fields };
}

function objectAt(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(where, "it must be a JSON object");
}

function textsAt(value: unknown, where: string): readonly string[] {
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
  throw invalid(where, "it must be a list of texts");
}

function invalid(where: string, why: string): UsageError {
  return new UsageError("ACCESS_FILE_INVALID", `Cannot use ${where}: ${why}`);
}
