"""An agent on the official SDK that tells numbered lines and remembers what it said, across its death."""

import asyncio
import os
from typing import Any

from acp import (
    Agent, InitializeResponse, LoadSessionResponse, NewSessionResponse, PromptResponse, RequestError, run_agent,
    update_agent_message_text,
)
from acp.schema import AgentCapabilities

FOLDER = os.environ["AGENT_FOLDER"]


class Teller(Agent):
    def on_connect(self, conn):
        self.conn = conn

    async def initialize(self, protocol_version: int, **kwargs: Any):
        return InitializeResponse(
            protocol_version=protocol_version, agent_capabilities=AgentCapabilities(load_session=True)
        )

    def file(self, session_id: str) -> str:
        return f"{FOLDER}/{session_id}"

    async def new_session(self, cwd: str, **kwargs: Any):
        session_id = f"made-{len(os.listdir(FOLDER))}"
        open(self.file(session_id), "w").close()
        return NewSessionResponse(session_id=session_id)

    async def load_session(self, cwd: str, session_id: str, **kwargs: Any):
        if not os.path.exists(self.file(session_id)):
            raise RequestError.invalid_params({"message": "no such session"})
        # A client that knows its transcript must pass over this.
        for line in open(self.file(session_id)).read().splitlines()[1:]:
            await self.conn.session_update(session_id, update_agent_message_text(f"line {line} of ä€𝄞\n"))
        return LoadSessionResponse()

    async def cancel(self, session_id: str, **kwargs: Any):
        pass

    async def prompt(self, session_id: str, prompt: list, **kwargs: Any):
        words = "".join(block.text for block in prompt).split()
        with open(self.file(session_id), "a") as file:
            if words[0] == "tell":
                file.write(f"{words[1]}\n")
                file.flush()
            most, *said = open(self.file(session_id)).read().split()
            for number in range(len(said), int(most)):
                update = update_agent_message_text(f"line {number} of ä€𝄞\n")
                await self.conn.session_update(session_id, update)
                file.write(f"{number}\n")
                file.flush()
                await asyncio.sleep(0.004)
        return PromptResponse(stop_reason="end_turn")


asyncio.run(run_agent(Teller()))
