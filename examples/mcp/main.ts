// The MCP SDK's client over POST /mcp: its transport takes a fetch. Tools that ask a model are paid; the others cost nothing.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { createAgentFetch } from 'tallystick';
import { fromPrivateKey } from 'tallystick/wallets';

const gateway = process.env['TALLYSTICK_GATEWAY'] ?? '';
const agentFetch = createAgentFetch({
  wallet: fromPrivateKey(process.env['TALLYSTICK_KEY'] ?? ''),
  agent: process.env['TALLYSTICK_AGENT'] ?? '',
  gateway,
  strict: true,
});
const client = new Client({ name: 'example', version: '1.0.0' });
await client.connect(
  new StreamableHTTPClientTransport(new URL(`${gateway}/mcp`), { fetch: agentFetch }) as Transport,
);

const { tools } = await client.listTools();
console.log(`tools: ${tools.map(({ name }) => name).join(', ')}`);
const { content } = await client.callTool({
  name: 'chat',
  arguments: {
    model: 'qwen-plus',
    messages: [{ role: 'user', content: process.argv[2] ?? 'What is a tally stick?' }],
  },
});
for (const part of content as { type: string; text?: string }[]) console.log(part.text ?? part.type);
await client.close();

await agentFetch.settled();
const receipt = agentFetch.lastReceipt?.signed.receipt;
console.log(`receipt ${receipt?.sequence}: ${receipt?.amount} base units, checked`);
