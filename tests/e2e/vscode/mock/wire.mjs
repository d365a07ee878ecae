// JSON-RPC in LSP's framing.
export function connect(input, output, onMessage) {
  let buffered = Buffer.alloc(0);
  input.on("data", (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    for (;;) {
      const head = buffered.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(buffered.subarray(0, head).toString())[1]);
      if (buffered.length < head + 4 + length) return;
      const message = JSON.parse(buffered.subarray(head + 4, head + 4 + length).toString());
      buffered = buffered.subarray(head + 4 + length);
      onMessage(message);
    }
  });
  const send = (message) => {
    const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
    output.write(`Content-Length: ${body.length}\r\n\r\n`);
    output.write(body);
  };
  return {
    answer: (id, result) => send({ id, result: result ?? null }),
    fail: (id, wire) => send({ id, error: { code: -32003, message: wire.message, data: wire } }),
    notify: (method, params) => send({ method, params }),
  };
}
