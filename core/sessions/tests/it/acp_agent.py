"""An agent on the official SDK. The first word of a prompt says what it does."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

from acp import (
    Agent, InitializeResponse, LoadSessionResponse, NewSessionResponse, PromptResponse, RequestError, run_agent,
    start_tool_call, text_block, tool_content, update_agent_message_text, update_agent_thought_text, update_tool_call,
    update_user_message_text,
)
from acp.schema import AgentCapabilities, EnvVariable, PermissionOption, ToolCallLocation, ToolCallUpdate

FOLDER = os.environ["ACP_TEST_FOLDER"]


class Scripted(Agent):
    def on_connect(self, conn):
        self.conn = conn
        self.cancelled = asyncio.Event()

    async def initialize(self, protocol_version: int, **kwargs: Any):
        open(f"{FOLDER}/starts", "a").write("start\n")
        if os.path.exists(f"{FOLDER}/hang"):
            await asyncio.sleep(1000)
        return InitializeResponse(
            protocol_version=protocol_version, agent_capabilities=AgentCapabilities(load_session=True)
        )

    def history(self, session_id: str) -> str:
        return f"{FOLDER}/history-{session_id}"

    async def new_session(self, cwd: str, **kwargs: Any):
        session_id = f"made-{len(os.listdir(FOLDER))}"
        open(self.history(session_id), "w").close()
        return NewSessionResponse(session_id=session_id)

    async def load_session(self, cwd: str, session_id: str, **kwargs: Any):
        if not os.path.exists(self.history(session_id)):
            raise RequestError.invalid_params({"message": "no such session"})
        for line in open(self.history(session_id)):
            who, text = json.loads(line)
            update = update_user_message_text(text) if who == "user" else update_agent_message_text(text)
            await self.conn.session_update(session_id, update)
        return LoadSessionResponse()

    def keep(self, session_id: str, who: str, text: str):
        with open(self.history(session_id), "a") as file:
            file.write(json.dumps([who, text]) + "\n")

    async def say(self, session_id: str, text: str):
        self.keep(session_id, "agent", text)
        await self.conn.session_update(session_id, update_agent_message_text(text))

    async def cancel(self, session_id: str, **kwargs: Any):
        self.cancelled.set()

    async def prompt(self, session_id: str, prompt: list, **kwargs: Any):
        text = "".join(block.text for block in prompt)
        self.keep(session_id, "user", text)
        word, *rest = text.split()
        stop = await getattr(self, "do_" + word)(session_id, text, *rest)
        return PromptResponse(stop_reason=stop or "end_turn")

    async def do_count(self, session_id: str, text: str, most: str = "10"):
        for number in range(int(most)):
            await self.say(session_id, f"{number} ä€𝄞\n")
            await asyncio.sleep(0.01)

    async def do_recall(self, session_id: str, text: str):
        seen = [json.loads(line) for line in open(self.history(session_id))]
        await self.say(session_id, f"I remember {len(seen)}")

    async def do_wait(self, session_id: str, text: str):
        await self.say(session_id, "waiting\n")
        await self.cancelled.wait()
        return "cancelled"

    async def do_stubborn(self, session_id: str, text: str):
        await self.say(session_id, "not listening\n")
        await asyncio.sleep(1000)

    async def do_die(self, session_id: str, text: str):
        os.kill(os.getpid(), 9)

    async def do_fail(self, session_id: str, text: str):
        raise RequestError.internal_error({"message": f"no luck with {os.environ['API_KEY']}"})

    async def do_script(self, session_id: str, text: str, path: str):
        """Runs a script itself, as agents with tools of their own do."""
        done = subprocess.run(["sh", path], capture_output=True, text=True)
        await self.say(session_id, f"{done.returncode}\n{done.stdout}{done.stderr}")

    async def do_terminal(self, session_id: str, text: str, *words: str):
        try:
            made = await self.conn.create_terminal(session_id, " ".join(words))
        except RequestError as error:
            await self.say(session_id, f"refused: {error}")
            return
        exited = await self.conn.wait_for_terminal_exit(session_id, made.terminal_id)
        output = await self.conn.terminal_output(session_id, made.terminal_id)
        await self.say(session_id, f"{exited.exit_code} {output.output}")

    async def do_elsewhere(self, session_id: str, text: str, folder: str, *words: str):
        """Runs a command in a folder of the worktree."""
        made = await self.conn.create_terminal(session_id, " ".join(words), cwd=folder)
        await self.conn.wait_for_terminal_exit(session_id, made.terminal_id)
        output = await self.conn.terminal_output(session_id, made.terminal_id)
        await self.say(session_id, output.output)

    async def may_read(self, session_id: str, call: str, *paths: str) -> str:
        answer = await self.conn.request_permission(
            session_id,
            ToolCallUpdate(
                tool_call_id=call, title="Read", kind="read", locations=[ToolCallLocation(path=path) for path in paths]
            ),
            [
                PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
                PermissionOption(option_id="no", name="No", kind="reject_once"),
            ],
        )
        return getattr(answer.outcome, "option_id", "none")

    async def do_creep(self, session_id: str, text: str, path: str):
        """Has itself allowed to read a file, and writes it."""
        chosen = await self.may_read(session_id, "call-1", path)
        try:
            await self.conn.write_text_file(session_id, path, "planted")
            await self.say(session_id, f"{chosen} written")
        except RequestError:
            await self.say(session_id, f"{chosen} refused")

    async def do_mixed(self, session_id: str, text: str, path: str):
        """Names paths that lead nowhere beside others."""
        for number, paths in enumerate([[path], [".git/hooks/x", "a\0b"], ["a\0b", path], ["a" * 5000]]):
            await self.say(session_id, await self.may_read(session_id, f"call-{number}", *paths) + " ")

    async def do_variables(self, session_id: str, text: str):
        """The same command with variables that say nothing, that say something, and that run something else."""
        for name, value in [("CLAUDECODE", "1"), ("LANG", "a b"), ("LD_PRELOAD", "./x.so"), ("PATH", ".")]:
            try:
                env = [EnvVariable(name=name, value=value)]
                made = await self.conn.create_terminal(session_id, "wc", args=["-l", "a.txt"], env=env)
                exited = await self.conn.wait_for_terminal_exit(session_id, made.terminal_id)
                await self.say(session_id, f"{exited.exit_code} ")
            except RequestError:
                await self.say(session_id, "refused ")

    async def do_work(self, session_id: str, text: str, path: str):
        await self.conn.session_update(session_id, update_agent_thought_text("hm"))
        call = start_tool_call("call-1", "Edit a file", kind="edit", raw_input={"path": path})
        await self.conn.session_update(session_id, call)
        answer = await self.conn.request_permission(
            session_id,
            ToolCallUpdate(tool_call_id="call-1", title="Edit a file"),
            [
                PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
                PermissionOption(option_id="no", name="No", kind="reject_once"),
            ],
        )
        chosen = getattr(answer.outcome, "option_id", "none")
        before = (await self.conn.read_text_file(session_id, path)).content
        if chosen == "yes":
            await self.conn.write_text_file(session_id, path, before + "more\n")
        done = update_tool_call("call-1", status="completed", content=[tool_content(text_block(f"chose {chosen}"))])
        await self.conn.session_update(session_id, done)
        made = await self.conn.create_terminal(session_id, "wc", args=["-l", "a.txt"])
        exited = await self.conn.wait_for_terminal_exit(session_id, made.terminal_id)
        output = await self.conn.terminal_output(session_id, made.terminal_id)
        await self.conn.release_terminal(session_id, made.terminal_id)
        try:
            await self.conn.read_text_file(session_id, "/etc/passwd")
            escaped = "escaped"
        except RequestError as error:
            escaped = str(error)
        await self.say(session_id, f"{exited.exit_code} {output.output.strip()} | {escaped}")


async def main():
    print("a line that is no protocol", flush=True)
    print("words on stderr", file=sys.stderr, flush=True)
    await run_agent(Scripted())


asyncio.run(main())
