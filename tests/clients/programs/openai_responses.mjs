// Every feature of Responses as the OpenAI SDK has it, a line of JSON each.

import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const TASKS = JSON.parse(readFileSync('tasks.json', 'utf8'));
const baseURL = `${process.env.BASE_URL}/v1`;
const TOOL = {
  type: 'function',
  name: TASKS.tool.name,
  description: TASKS.tool.description,
  parameters: TASKS.tool.schema,
  strict: true,
};
const IMAGE = {
  type: 'input_image',
  image_url: `data:image/png;base64,${TASKS.image}`,
  detail: 'auto',
};
const CITY = zodTextFormat(
  z.object({ kind: z.literal('city'), name: z.string(), population: z.int() }),
  'city',
);

const client = new OpenAI({ baseURL, apiKey: process.env.TOKEN, maxRetries: 0 });

function user(task, ...parts) {
  const text = TASKS.prompts[task];
  const content = parts.length ? [{ type: 'input_text', text }, ...parts] : text;
  return { role: 'user', content };
}

const create = (input, options = {}) =>
  client.responses.create({ model: 'chat', input, ...options });

const stream = (input, options = {}) =>
  client.responses.stream({ model: 'chat', input, ...options });

function usage({ usage }) {
  const cached = usage.input_tokens_details.cached_tokens;
  return { fresh: usage.input_tokens - cached, cached, output: usage.output_tokens };
}

const spoken = ({ output_text, status, incomplete_details }) => ({
  text: output_text,
  stop: incomplete_details?.reason ?? status,
});

const ofType = ({ output }, type) => output.filter((item) => item.type === type);

const calls = (answer) =>
  ofType(answer, 'function_call').map((call) => [
    call.name,
    JSON.parse(call.arguments),
  ]);

// An answer as it goes back, and the sums that it called for.
function answered(answer, output) {
  const results = ofType(answer, 'function_call').map((call) => {
    const { a, b } = JSON.parse(call.arguments);
    return {
      type: 'function_call_output',
      call_id: call.call_id,
      output: output ?? String(a + b),
    };
  });
  // What the helper parsed out of an answer is nothing that the API knows.
  return [...answer.output.map(({ parsed_arguments, ...item }) => item), ...results];
}

// What was thought: in full, or a summary of it.
const thought = (answer) =>
  ofType(answer, 'reasoning')
    .flatMap((item) => [...item.summary, ...(item.content ?? [])])
    .map((part) => part.text)
    .join('');

// How a stream ended: `response.failed` is an event and no exception.
async function ended(events) {
  let last;
  for await (const event of await events) last = event;
  const { code, message } = last.response.error;
  return [last.type, null, code, message, null];
}

async function raised(ask) {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const after = error.headers?.get('retry-after') ?? null;
    const name = error.constructor.name;
    const { code, message } = error.error;
    return [name, error.status ?? null, code, message, after];
  }
}

const FEATURES = {
  async text() {
    const answer = await create([user('text')], { instructions: 'Be brief.' });
    return { ...spoken(answer), usage: usage(answer), model: answer.model };
  },

  async streamed_text() {
    const events = [];
    for await (const event of await create([user('text')], { stream: true }))
      events.push(event);
    const last = events.at(-1).response;
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    return {
      text: deltas.map((event) => event.delta).join(''),
      stop: last.status,
      usage: usage(last),
      model: last.model,
    };
  },

  async capped() {
    return spoken(await create([user('capped')], { max_output_tokens: 20 }));
  },

  async tool() {
    const options = { tools: [TOOL] };
    const first = await create([user('tool')], options);
    const second = await create([user('tool'), ...answered(first)], options);
    return { first: spoken(first), calls: calls(first), second: spoken(second) };
  },

  async streamed_tool() {
    const options = { tools: [TOOL] };
    const first = await stream([user('tool')], options).finalResponse();
    const input = [user('tool'), ...answered(first)];
    const second = await stream(input, options).finalResponse();
    return { first: spoken(first), calls: calls(first), second: spoken(second) };
  },

  async parallel() {
    const options = { tools: [TOOL] };
    const first = await create([user('parallel')], options);
    const second = await create([user('parallel'), ...answered(first)], options);
    return { calls: calls(first), second: spoken(second) };
  },

  async image() {
    return spoken(await create([user('image', IMAGE)]));
  },

  async tool_image() {
    const options = { tools: [TOOL] };
    const seen = [{ type: 'input_text', text: 'Here it is.' }, IMAGE];
    const first = await create([user('tool-image')], options);
    const input = [user('tool-image'), ...answered(first, seen)];
    return spoken(await create(input, options));
  },

  async structured() {
    const answer = await client.responses.parse({
      model: 'chat',
      input: [user('structured')],
      text: { format: CITY },
    });
    return answer.output_parsed;
  },

  async streamed_structured() {
    const events = stream([user('structured')], { text: { format: CITY } });
    return (await events.finalResponse()).output_parsed;
  },

  async reasoning() {
    const options = {
      tools: [TOOL],
      reasoning: { effort: 'medium', summary: 'auto' },
      include: ['reasoning.encrypted_content'],
      store: false,
    };
    const input = [user('reasoning')];
    const first = await create(input, options);
    input.push(...answered(first));
    const second = await create(input, options);
    input.push(...answered(second), user('after'));
    const third = await create(input, options);
    return {
      thoughts: [thought(first), thought(second)],
      tokens: first.usage.output_tokens_details.reasoning_tokens > 0,
      second: spoken(second),
      third: spoken(third),
    };
  },

  async count() {
    const input = [user('count')];
    const counted = await client.responses.inputTokens.count({ model: 'chat', input });
    return { tokens: counted.input_tokens, estimate: counted.estimate ?? false };
  },

  async models() {
    return (await Array.fromAsync(client.models.list())).map((model) => model.id);
  },

  async errors() {
    const stranger = new OpenAI({ baseURL, apiKey: 'rtr_no', maxRetries: 0 });
    const request = { model: 'chat', input: 'Hm.' };
    const asked = {
      token: () => stranger.responses.create(request),
      model: () => client.responses.create({ ...request, model: 'other' }),
      missing: () => client.models.retrieve('missing'),
      rejected: () => create([user('rejected')]),
      limited: () => create([user('limited')]),
      failing: () => ended(create([user('failing')], { stream: true })),
      cut: () => ended(create([user('cut')], { stream: true })),
    };
    const found = {};
    for (const [name, ask] of Object.entries(asked)) found[name] = await raised(ask);
    return found;
  },
};

for (const [name, feature] of Object.entries(FEATURES)) {
  const value = await feature().catch((error) => ({ failed: error.stack }));
  console.log(JSON.stringify([name, value]));
}
