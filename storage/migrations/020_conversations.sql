-- What channels keep beside the log: messages, broadcasts, and the answers to requests that came with a key.

ALTER TABLE contacts ADD COLUMN customer text NOT NULL DEFAULT '';
COMMENT ON COLUMN contacts.customer IS 'The keyed hash by which the log knows them.';
ALTER TABLE contacts ADD COLUMN callback text NOT NULL DEFAULT '';
COMMENT ON COLUMN contacts.callback IS 'The number to call back, where it is another than ani.';

CREATE TABLE messages (
    contact uuid NOT NULL,
    number integer NOT NULL,
    author text NOT NULL CHECK (author IN ('customer', 'agent', 'system')),
    agent text NOT NULL DEFAULT '',
    at timestamptz NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (contact, number)
);
COMMENT ON TABLE messages IS 'What was written in a conversation; the log knows the numbers only.';

CREATE TABLE broadcasts (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    "by" text NOT NULL,
    body text NOT NULL,
    agents text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX broadcasts_at ON broadcasts (at);

CREATE TABLE answers (
    asker text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    at timestamptz NOT NULL,
    status integer NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (asker, key)
);
CREATE INDEX answers_at ON answers (at);
COMMENT ON TABLE answers IS 'Requests with an Idempotency-Key: the same again gets the same answer.';
