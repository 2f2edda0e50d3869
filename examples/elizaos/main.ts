// An ElizaOS runtime whose models are ours. A whole agent brings a database plugin; here its adapter keeps nothing.
import { AgentRuntime, type IDatabaseAdapter, ModelType } from '@elizaos/core';
import { fromPrivateKey } from 'tallystick/wallets';
import { createTallystickPlugin } from './plugin-tallystick.ts';

const plugin = createTallystickPlugin({
  wallet: fromPrivateKey(process.env['TALLYSTICK_KEY'] ?? ''),
  agent: process.env['TALLYSTICK_AGENT'] ?? '',
  gateway: process.env['TALLYSTICK_GATEWAY'] ?? '',
  strict: true,
});
const runtime = new AgentRuntime({
  character: { name: 'Tally', bio: 'An accountant of the twelfth century.' },
  adapter: { log: async () => undefined } as unknown as IDatabaseAdapter,
});
await runtime.registerPlugin(plugin);

const { text } = await runtime.generateText(process.argv[2] ?? 'What is a tally stick?');
console.log(text);
const embedding = await runtime.useModel(ModelType.TEXT_EMBEDDING, { text: 'a tally stick' });
console.log(`an embedding of ${embedding.length} numbers`);

await plugin.agentFetch.settled();
for (const { signed } of plugin.agentFetch.receipts)
  console.log(`receipt ${signed.receipt.sequence}: ${signed.receipt.amount} base units, checked`);
process.exit();
