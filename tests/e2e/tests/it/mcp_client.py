"""A client of `podium mcp` on the official SDK. Prints what it saw as one JSON object."""

import asyncio
import json
import os
import sys

from jsonschema import Draft202012Validator
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

SERVER = StdioServerParameters(command="podium", args=["mcp", "--agent-id", "python-1"], env=dict(os.environ))


async def until(test):
    for _ in range(3000):
        if test():
            return True
        await asyncio.sleep(0.01)
    return False


async def main():
    updated, told = [], {}

    async def on_message(message):
        params = getattr(message, "params", None) or getattr(getattr(message, "root", None), "params", None)
        if hasattr(params, "uri"):
            updated.append(str(params.uri))

    async with stdio_client(SERVER) as (read, write):
        async with ClientSession(read, write, message_handler=on_message) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            told["tools"] = len(tools)
            for tool in tools:
                schema = tool.model_dump(by_alias=True)
                Draft202012Validator.check_schema(schema["inputSchema"])
                Draft202012Validator.check_schema(schema["outputSchema"])
            # The session validates each structured answer against the tool's own schema.
            for name, arguments in [
                ("worktree_list", {}),
                ("worktree_status", {"worktree": "feat-x"}),
                ("verify", {"worktree": "feat-x"}),
                ("conflicts", {}),
                ("session_list", {}),
                ("artifact_search", {"query": "nothing"}),
            ]:
                result = await session.call_tool(name, arguments)
                dumped = result.model_dump(by_alias=True)
                assert not dumped["isError"], (name, dumped)
                assert dumped["structuredContent"] is not None, name
            told["validated"] = True

            await session.subscribe_resource("podium://worktrees")
            made = await session.call_tool("worktree_create", {"type": "feat", "name": "y"})
            worktree = made.model_dump(by_alias=True)["structuredContent"]["worktree"]
            told["claimed"] = worktree["name"] if worktree["claim"]["agentId"] == "python-1" else None
            await until(lambda: "podium://worktrees" in updated)
            told["updated"] = updated

            seen = []

            async def progress(done, total, message):
                seen.append((done, total, message))

            waiting = asyncio.create_task(
                session.call_tool("claim", {"worktree": "feat-x", "wait": 600}, progress_callback=progress)
            )
            await until(lambda: seen)
            told["progress"] = len(seen)
            waiting.cancel()
            try:
                await waiting
            except asyncio.CancelledError:
                told["cancelled"] = True
            # The server is well, and serves on.
            alive = await session.call_tool("worktree_list", {})
            assert not alive.model_dump(by_alias=True)["isError"]
    print(json.dumps(told))


asyncio.run(main())
