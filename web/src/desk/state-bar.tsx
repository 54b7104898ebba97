/** The agent's state, since when, and the button that changes it. */

import { Button, Group, Menu, Text } from "@mantine/core";
import { ChevronDown } from "lucide-react";
import type { DeskSnapshot } from "../api/desk";
import { clock } from "../ui/format";
import { useDesk, useDeskView, useSecondsSince } from "./hooks";
import { stateColor, stateWords } from "./words";

export function StateBar({ snapshot }: { snapshot: DeskSnapshot }) {
  const desk = useDesk();
  const { busy, link } = useDeskView();
  const { agent, idle_codes: codes } = snapshot;
  const seconds = useSecondsSince(agent.since);
  const word = stateWords(agent.state, agent.code, codes);
  return (
    <Group className="panel" justify="space-between" gap="sm" py="sm">
      <Group gap="md">
        <Menu position="bottom-start" width={230} shadow="md" returnFocus>
          <Menu.Target>
            <Button
              size="md"
              color={stateColor(agent)}
              rightSection={<ChevronDown size={18} aria-hidden />}
              loading={busy.has("set_state")}
              disabled={link !== "open"}
              aria-label={`State: ${word}. Change the state`}
              data-testid="state-button"
            >
              <span data-testid="agent-state" data-state={agent.state} data-code={agent.code ?? ""}>
                {word}
              </span>
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item
              leftSection={<span className="dot" data-tone="good" />}
              onClick={() => void desk.command("set_state", { state: "available" })}
              data-testid="state-available"
            >
              Available
            </Menu.Item>
            {codes.length > 0 && <Menu.Label>Idle</Menu.Label>}
            {codes.map(({ code, name }) => (
              <Menu.Item
                key={code}
                leftSection={<span className="dot" data-tone="busy" />}
                onClick={() => void desk.command("set_state", { state: "idle", code })}
                data-testid={`state-idle-${code}`}
              >
                {name}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
        <Text className="figures" size="lg" role="timer" aria-label="Time in this state" data-testid="state-timer">
          {clock(seconds)}
        </Text>
        {agent.next !== null && (
          <Text size="sm" c="dimmed" data-testid="state-next">
            then {stateWords(agent.next.state, agent.next.code, codes)}
          </Text>
        )}
      </Group>
      <Text size="sm" c="dimmed" hiddenFrom="sm">
        {agent.display}
      </Text>
    </Group>
  );
}
