// A stock x402 client. It pays by itself, with our scheme; the fetch below it only says which agent is asking.
import { x402Client } from '@x402/core/client';
import { decodePaymentResponseHeader, wrapFetchWithPayment } from '@x402/fetch';
import { createSigningFetch } from 'tallystick';
import { fromPrivateKey } from 'tallystick/wallets';
import { agentVaultScheme } from 'tallystick/x402';
import { parseEther } from 'viem';

const gateway = process.env['TALLYSTICK_GATEWAY'] ?? '';
const agent = process.env['TALLYSTICK_AGENT'] ?? '';
const vault = process.env['TALLYSTICK_VAULT'] ?? ''; // where this agent deposited: its own word, not the gateway's
const wallet = fromPrivateKey(process.env['TALLYSTICK_KEY'] ?? '');

const [, chain = '', registry = '', agentId = ''] = agent.split(':');
const network = `eip155:${Number(chain)}` as const;
const client = x402Client
  .fromConfig({
    schemes: [],
    // Stock clients pay in assets they were told of; ours is the chain's native one.
    spendControls: { allowedAssets: [{ network, asset: `0x${'00'.repeat(20)}` }] },
  })
  .register(
    network,
    agentVaultScheme({
      account: {
        chainId: Number(chain),
        vault: vault as `0x${string}`,
        registry: registry as `0x${string}`,
        agentId: BigInt(agentId),
      },
      signer: wallet,
      total: parseEther('1'), // all the operator can ever take by these vouchers
    }),
  );
const pay = wrapFetchWithPayment(createSigningFetch({ wallet, agent, gateway }), client);

const response = await pay(`${gateway}/v1/chat/completions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    model: 'qwen-plus',
    messages: [{ role: 'user', content: process.argv[2] ?? 'What is a tally stick?' }],
  }),
});
const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
console.log(choices[0]?.message.content);
console.log(decodePaymentResponseHeader(response.headers.get('payment-response') ?? ''));
