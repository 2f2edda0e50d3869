// What a gateway is without backpressure: it reads upstream as fast as it can and does not wait for the client to take it.

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const upstream = await fetch(`${request.headers.get('x-upstream')}${pathname}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: request.body,
    });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const pump = async (): Promise<void> => {
      if (!upstream.body) return;
      for await (const chunk of upstream.body) writer.write(chunk).catch(() => undefined);
      await writer.close();
    };
    pump().catch(() => undefined);
    return new Response(readable, { headers: { 'content-type': 'text/event-stream' } });
  },
};
