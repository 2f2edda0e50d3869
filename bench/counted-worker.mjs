// The gateway's Worker, with the calls it makes to Durable Objects counted. What the objects say to each other is not.
import gateway, { AgentAccount, Chain, Counters, LogIntake, Publisher, ReceiptLog } from '../worker/index.ts';

export { AgentAccount, Chain, Counters, LogIntake, Publisher, ReceiptLog };

/** Calls since they were last asked for, by binding. */
let calls = {};

const stubOf = (binding, stub) =>
  new Proxy(stub, {
    get(target, name) {
      const member = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args) => {
        calls[binding] = (calls[binding] ?? 0) + 1;
        return Reflect.apply(member, target, args);
      };
    },
  });

const namespaceOf = (binding, namespace) =>
  new Proxy(namespace, {
    get(target, name) {
      const member = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args) => {
        const made = Reflect.apply(member, target, args);
        return name === 'get' || name === 'getByName' ? stubOf(binding, made) : made;
      };
    },
  });

export default {
  async fetch(request, env, context) {
    if (new URL(request.url).pathname === '/bench/calls') {
      const seen = calls;
      calls = {};
      return Response.json(seen);
    }
    const counted = { ...env };
    for (const [binding, value] of Object.entries(env)) {
      if (typeof value?.getByName === 'function') counted[binding] = namespaceOf(binding, value);
    }
    return gateway.fetch(request, counted, context);
  },
};
