// Durable Objects without a platform, for tests that must decide what fails when: each object's storage is a SQLite database
// of its own, calls between objects are copied and asynchronous, alarms fire when the test says so, and an object can be
// killed at any boundary. What a killed instance still had to do never happens; what it had written stays.
import { AsyncLocalStorage } from 'node:async_hooks';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';

/** What happens at a boundary: `lost` fails after the deed is done, `kill` ends the instance that did it. */
export type Fault = 'fail' | 'lost' | 'kill';

/** Asked at every boundary, by its name; `undefined` lets it pass. */
export type Faults = (point: string) => Fault | undefined;

type ObjectClass = new (context: unknown, env: unknown) => Record<string, unknown>;

/** An object's durable half: it outlives instances. */
export type Disk = {
  readonly db: DatabaseSync;
  alarm: number | null;
};

type Instance = {
  readonly disk: Disk;
  readonly label: string;
  object: Record<string, unknown>;
  isDead: boolean;
  readonly death: Promise<void>;
  readonly die: () => void;
};

export class InjectedFault extends Error {}

const running = new AsyncLocalStorage<Instance>();
const never = new Promise<never>(() => undefined);

export class Simulation {
  readonly #classes = new Map<string, ObjectClass>();
  readonly #disks = new Map<string, Disk>();
  readonly #instances = new Map<string, Instance>();
  readonly #ringing = new Map<string, Promise<void>>();
  readonly #background = new Set<Promise<unknown>>();
  readonly env: Record<string, unknown>;
  faults: Faults = () => undefined;
  /** Every boundary passed, in order. */
  readonly points: string[] = [];

  constructor(vars: Readonly<Record<string, string>>) {
    this.env = { ...vars };
  }

  /** Adds a binding whose objects are of a class. Objects are labelled by the binding alone in boundary names. */
  bind(binding: string, objectClass: ObjectClass): void {
    this.#classes.set(binding, objectClass);
    this.env[binding] = { getByName: (name: string) => this.stub(binding, name) };
  }

  /** A stub as the platform gives one: every call is asynchronous, and its arguments and answer are copies. */
  stub(binding: string, name: string): Record<string, (...args: unknown[]) => Promise<unknown>> {
    return new Proxy(
      {},
      {
        get: (_, method) =>
          typeof method === 'string' && method !== 'then'
            ? (...args: unknown[]) => this.#call(binding, name, method, args)
            : undefined,
      },
    );
  }

  /** The objects that have an alarm, the most urgent first. */
  alarms(): { readonly binding: string; readonly name: string; readonly atMs: number }[] {
    return [...this.#disks]
      .filter(([id, disk]) => disk.alarm !== null && !this.#ringing.has(id))
      .map(([id, disk]) => ({ ...namesOf(id), atMs: disk.alarm ?? 0 }))
      .sort((a, b) => a.atMs - b.atMs);
  }

  /** Rings an object's alarm, whatever the time. One alarm of an object at a time; resolves when it is done or dead. */
  ring(binding: string, name: string): Promise<void> {
    const id = `${binding}|${name}`;
    const disk = this.#disk(id);
    if (disk.alarm === null || this.#ringing.has(id)) return Promise.resolve();
    disk.alarm = null;
    let instance: Instance;
    try {
      instance = this.#instance(id);
    } catch (error) {
      if (!(error instanceof InjectedFault)) throw error;
      // It did not come up: the platform calls the alarm again.
      disk.alarm ??= 0;
      return Promise.resolve();
    }
    const ringing = this.#unlessKilled(instance, () => this.#invoke(instance, 'alarm', []))
      .catch((error: unknown) => {
        if (!(error instanceof InjectedFault)) throw error;
      })
      .finally(() => {
        // The platform calls an alarm again whose handler did not end.
        if (instance.isDead) disk.alarm ??= 0;
        this.#ringing.delete(id);
      });
    this.#ringing.set(id, ringing as Promise<void>);
    return ringing as Promise<void>;
  }

  /** Ends an object's instance wherever it is. The next call or alarm starts another over the same storage. */
  kill(binding: string, name: string): void {
    this.#die(this.#instances.get(`${binding}|${name}`));
  }

  /** Waits for what objects do besides answering. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.allSettled([...this.#background]);
  }

  disk(binding: string, name: string): Disk {
    return this.#disk(`${binding}|${name}`);
  }

  /** A boundary in the course of an object: asks for a fault, does the deed, and lets the fault happen. */
  async boundary<T>(point: string, deed: () => Promise<T>): Promise<T> {
    const instance = running.getStore();
    if (instance === undefined) return deed();
    if (instance.isDead) return never;
    const name = `${instance.label}: ${point}`;
    this.points.push(name);
    const fault = this.faults(name);
    if (fault === 'fail') throw new InjectedFault(`${name} failed`);
    const answer = await deed().catch((error: unknown) => {
      if (instance.isDead) return never;
      throw error;
    });
    if (fault === 'kill') this.#die(instance);
    if (instance.isDead) return never;
    if (fault === 'lost') throw new InjectedFault(`the answer of ${name} was lost`);
    return answer;
  }

  /** Whether what runs now was started by an object. */
  get isInObject(): boolean {
    return running.getStore() !== undefined;
  }

  /** `fetch` as objects see it: each exchange is a boundary, named by its JSON-RPC method or HTTP method and path. */
  fetchWith(real: typeof fetch): typeof fetch {
    return (input, init) => this.boundary(exchangeName(input, init), () => real(input, init));
  }

  #call(binding: string, name: string, method: string, args: unknown[]): Promise<unknown> {
    const deed = async (): Promise<unknown> => {
      const instance = this.#instance(`${binding}|${name}`);
      const copy = deserialize(serialize(args)) as unknown[];
      // A callee that dies takes the call with it: the caller sees an error, as on the platform.
      const answer = await this.#unlessKilled(instance, () => this.#invoke(instance, method, copy), true);
      return deserialize(serialize(answer));
    };
    return this.boundary(`${binding}.${method}`, deed);
  }

  async #invoke(instance: Instance, method: string, args: unknown[]): Promise<unknown> {
    const { object } = instance;
    const code = object[method];
    if (typeof code !== 'function') throw new TypeError(`no method ${method}`);
    return running.run(instance, () => code.apply(object, args) as unknown);
  }

  /** The work's answer; if the instance dies first, an error for its caller, or nothing for its alarm. */
  async #unlessKilled<T>(instance: Instance, work: () => Promise<T>, isCall = false): Promise<T | undefined> {
    const death = instance.death.then(() => {
      if (isCall) throw new InjectedFault(`${instance.label} died`);
      return undefined;
    });
    return Promise.race([work(), death]);
  }

  #die(instance: Instance | undefined): void {
    if (instance === undefined || instance.isDead) return;
    instance.isDead = true;
    instance.die();
    for (const [id, one] of this.#instances) if (one === instance) this.#instances.delete(id);
  }

  #disk(id: string): Disk {
    const known = this.#disks.get(id);
    if (known !== undefined) return known;
    const disk: Disk = { db: new DatabaseSync(':memory:'), alarm: null };
    disk.db.exec('CREATE TABLE _kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID');
    this.#disks.set(id, disk);
    return disk;
  }

  #instance(id: string): Instance {
    const known = this.#instances.get(id);
    if (known !== undefined) return known;
    const { binding, name } = namesOf(id);
    const objectClass = this.#classes.get(binding);
    if (objectClass === undefined) throw new Error(`no class is bound to ${binding}`);
    const { promise: death, resolve: die } = Promise.withResolvers<void>();
    const instance: Instance = {
      disk: this.#disk(id),
      label: binding,
      object: {},
      isDead: false,
      death,
      die,
    };
    const context = {
      id: { name },
      storage: this.#storage(instance),
      blockConcurrencyWhile: (work: () => Promise<unknown>) => work(),
      waitUntil: (promise: Promise<unknown>) => {
        const kept = Promise.race([promise, instance.death]).finally(() => this.#background.delete(kept));
        this.#background.add(kept);
      },
      abort: () => this.#die(instance),
    };
    instance.object = running.run(instance, () => new objectClass(context, this.env));
    this.#instances.set(id, instance);
    return instance;
  }

  #storage(instance: Instance): unknown {
    const { disk } = instance;
    const { db } = disk;
    const statements = new Map<string, StatementSync>();
    const alive = (): void => {
      if (instance.isDead) throw new InjectedFault('a dead instance reached for its storage');
    };
    const prepared = (query: string): StatementSync => {
      const statement = statements.get(query) ?? db.prepare(query);
      statements.set(query, statement);
      return statement;
    };
    let depth = 0;
    /** A write outside a transaction is a boundary of its own. */
    const written = (write: () => unknown): void => {
      const fault = depth === 0 ? this.#faultAt(`${instance.label}: write`) : undefined;
      if (fault === 'fail') throw new InjectedFault('a write failed');
      write();
      if (fault === 'kill') this.#die(instance);
      if (fault !== undefined) throw new InjectedFault('the answer of a write was lost');
    };
    return {
      sql: {
        exec(query: string, ...bindings: unknown[]) {
          alive();
          if (/;\s*\S/.test(query)) {
            statements.clear();
            db.exec(query);
            return cursorOf([]);
          }
          const bound = bindings.map(boundOf);
          if (/^\s*SELECT/i.test(query)) {
            const rows = prepared(query).all(...bound);
            return cursorOf(rows.map(rowOf));
          }
          written(() => prepared(query).run(...bound));
          return cursorOf([]);
        },
      },
      kv: {
        get(key: string) {
          alive();
          const row = prepared('SELECT value FROM _kv WHERE key = ?').get(key);
          return row && deserialize(row['value'] as Uint8Array);
        },
        put(key: string, value: unknown) {
          alive();
          written(() => prepared('INSERT OR REPLACE INTO _kv VALUES (?, ?)').run(key, serialize(value)));
        },
        delete(key: string) {
          alive();
          written(() => prepared('DELETE FROM _kv WHERE key = ?').run(key));
          return true;
        },
      },
      transactionSync: <T>(work: () => T): T => {
        alive();
        const name = `${instance.label}: transaction`;
        const isOutermost = depth === 0;
        const fault = isOutermost ? this.#faultAt(name) : undefined;
        if (fault === 'fail') throw new InjectedFault(`${name} failed`);
        depth += 1;
        db.exec(`SAVEPOINT s${depth}`);
        try {
          const answer = work();
          db.exec(`RELEASE s${depth}`);
          if (fault === 'lost') throw new InjectedFault(`the answer of ${name} was lost`);
          if (fault === 'kill') {
            this.#die(instance);
            throw new InjectedFault(`killed after ${name}`);
          }
          return answer;
        } catch (error) {
          if (!(error instanceof InjectedFault) || fault === undefined) {
            db.exec(`ROLLBACK TO s${depth}; RELEASE s${depth}`);
          }
          throw error;
        } finally {
          depth -= 1;
        }
      },
      getAlarm: async () => disk.alarm,
      setAlarm: async (atMs: number) => {
        if (!instance.isDead) disk.alarm = atMs;
      },
      deleteAlarm: async () => {
        if (!instance.isDead) disk.alarm = null;
      },
      sync: async () => undefined,
    };
  }

  #faultAt(name: string): Fault | undefined {
    this.points.push(name);
    return this.faults(name);
  }
}

const boundOf = (value: unknown): string | number | null | Uint8Array =>
  value instanceof ArrayBuffer ? new Uint8Array(value) : (value as string | number | null);

/** A cursor whose rows are all there. */
const cursorOf = <T>(rows: readonly T[]) => ({
  toArray: () => [...rows],
  one(): T {
    const [row] = rows;
    if (row === undefined || rows.length > 1) throw new Error(`${rows.length} rows, not one`);
    return row;
  },
});

/** The platform gives blobs as ArrayBuffers of their own. */
const rowOf = (row: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? value.slice().buffer : value,
    ]),
  );

function namesOf(id: string): { binding: string; name: string } {
  const [binding = '', ...name] = id.split('|');
  return { binding, name: name.join('|') };
}

function exchangeName(input: unknown, init: RequestInit | undefined): string {
  const body = typeof init?.body === 'string' ? init.body : '';
  const method = /"method":"(\w+)"/.exec(body)?.[1];
  if (method !== undefined) return method;
  const url = new URL(input instanceof Request ? input.url : String(input));
  return `${init?.method ?? 'GET'} ${url.pathname.replace(/\/(0x)?[0-9a-f]{4,}.*/, '/…')}`;
}
