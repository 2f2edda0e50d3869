// Coinbase AgentKit: an action that asks Qwen, paid by the wallet that AgentKit holds.
import { AgentKit, customActionProvider, ViemWalletProvider } from '@coinbase/agentkit';
import { createAgentFetch } from 'tallystick';
import { fromAgentKit } from 'tallystick/wallets';
import { createWalletClient, http } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';
import { z } from 'zod';

// AgentKit tells Coinbase of each action, and does not mind its own failures: without this, a machine that cannot reach it ends.
process.on('unhandledRejection', (error) => {
  const { cause } = error as { cause?: { hostname?: string } };
  if (cause?.hostname !== 'cca-lite.coinbase.com') throw error;
  console.error('(AgentKit could not report this action to Coinbase)');
});

const gateway = process.env['TALLYSTICK_GATEWAY'] ?? '';
const walletProvider = new ViemWalletProvider(
  createWalletClient({
    account: privateKeyToAccount(process.env['TALLYSTICK_KEY'] as `0x${string}`),
    chain: foundry,
    transport: http(process.env['TALLYSTICK_RPC']),
  }) as never, // AgentKit brings a viem of its own
);
const agentFetch = createAgentFetch({
  wallet: fromAgentKit(walletProvider),
  agent: process.env['TALLYSTICK_AGENT'] ?? '',
  gateway,
  strict: true,
});

const askQwen = customActionProvider({
  name: 'ask_qwen',
  description: 'Asks Qwen. Costs what it uses, from the agent’s deposit.',
  schema: z.object({ prompt: z.string() }) as never,
  invoke: async ({ prompt }: { prompt: string }) => {
    const response = await agentFetch(`${gateway}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'qwen-plus', messages: [{ role: 'user', content: prompt }] }),
    });
    const body = (await response.json()) as { choices?: { message: { content: string } }[] };
    return body.choices?.[0]?.message.content ?? JSON.stringify(body);
  },
});
const agentKit = await AgentKit.from({ walletProvider, actionProviders: [askQwen] });

const action = agentKit.getActions().find(({ name }) => name.endsWith('ask_qwen'));
console.log(action?.name, '-', action?.description);
console.log(await action?.invoke({ prompt: process.argv[2] ?? 'What is a tally stick?' }));

await agentFetch.settled();
const receipt = agentFetch.lastReceipt?.signed.receipt;
console.log(`receipt ${receipt?.sequence}: ${receipt?.amount} base units, checked`);
process.exit();
