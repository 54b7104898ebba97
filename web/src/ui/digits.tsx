/** The telephone's keys. */

import { Button, Stack, Text } from "@mantine/core";

const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const SPOKEN: Record<string, string> = { "*": "Star", "#": "Hash" };

export const isDigit = (key: string): boolean => DIGITS.includes(key);

interface DigitsPadProps {
  /** As wide as its place, for thumbs. */
  large?: boolean;
  /** Shown until a key is pressed. */
  hint?: string;
  sent: string;
  disabled: boolean;
  onDigit(digit: string): void;
}

export function DigitsPad({
  large = false,
  hint = "Press keys here or on the keyboard",
  sent,
  disabled,
  onDigit,
}: DigitsPadProps) {
  return (
    <Stack gap="xs" align={large ? "stretch" : "center"} data-testid="digits-pad">
      <Text
        className="figures"
        ta="center"
        c={sent ? undefined : "dimmed"}
        size={sent ? "lg" : "sm"}
        mih={28}
        data-testid="digits-sent"
      >
        {sent ? sent.slice(-24) : hint}
      </Text>
      <div className={large ? "pad pad-large" : "pad"}>
        {DIGITS.map((digit) => (
          <Button
            key={digit}
            size={large ? "lg" : "md"}
            variant="default"
            px={0}
            disabled={disabled}
            aria-label={SPOKEN[digit]}
            onClick={() => onDigit(digit)}
            data-testid={`digit-${digit}`}
          >
            {digit}
          </Button>
        ))}
      </div>
    </Stack>
  );
}
