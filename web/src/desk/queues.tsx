/** How many wait where. */

import { Group, Stack, Text } from "@mantine/core";
import type { QueueWaiting } from "../api/desk";

export function QueuesPanel({ queues }: { queues: QueueWaiting[] }) {
  return (
    <section className="panel" aria-labelledby="queues-title">
      <Stack gap="sm">
        <h2 className="panel-title" id="queues-title">
          Waiting in your queues
        </h2>
        {queues.length === 0 ? (
          <Text size="sm" c="dimmed">
            You are in no queue. A supervisor can add you to one.
          </Text>
        ) : (
          <Stack component="ul" gap={6} m={0} p={0} style={{ listStyle: "none" }}>
            {queues.map((queue) => (
              <Group
                component="li"
                key={queue.id}
                justify="space-between"
                wrap="nowrap"
                data-testid={`queue-${queue.id}`}
              >
                <Text truncate>{queue.name}</Text>
                <Text
                  className="figures"
                  fw={queue.waiting > 0 ? 700 : 400}
                  c={queue.waiting > 0 ? undefined : "dimmed"}
                >
                  {queue.waiting}
                </Text>
              </Group>
            ))}
          </Stack>
        )}
      </Stack>
    </section>
  );
}
