// What Gemini CLI has for a model where it has no network: whatever is asked, it answers the same. Without an answer
// it keeps no conversation.
const reply = JSON.stringify({
  candidates: [{ content: { role: "model", parts: [{ text: "So be it." }] }, finishReason: "STOP" }],
});
require("node:http")
  .createServer((request, response) => {
    const streamed = request.url.includes("alt=sse");
    response.setHeader("Content-Type", streamed ? "text/event-stream" : "application/json");
    request.resume().on("end", () => response.end(streamed ? `data: ${reply}\n\n` : reply));
  })
  .listen(4141, "127.0.0.1");
