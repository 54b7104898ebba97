-- The first schema: people, configuration, the event log with its fence, and the records that are folds over it.

CREATE TABLE users (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    display text NOT NULL,
    role text NOT NULL CHECK (role IN ('agent', 'supervisor', 'admin')),
    password_hash text NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    created timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    token_hash bytea PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz NOT NULL
);
CREATE INDEX sessions_expires ON sessions (expires);

-- Queues, agents' rules, entry points, idle codes, flows: JSON or YAML documents, the newest version counts.
CREATE TABLE documents (
    kind text NOT NULL,
    id text NOT NULL,
    version integer NOT NULL,
    body text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id, version)
);

-- The fence: whoever writes the log holds the newest epoch.
CREATE TABLE log_epoch (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    epoch bigint NOT NULL
);
INSERT INTO log_epoch (epoch) VALUES (0);

CREATE TABLE event_log (
    epoch bigint NOT NULL,
    "offset" bigint NOT NULL,
    at double precision NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (epoch, "offset")
);

CREATE TABLE snapshots (
    epoch bigint NOT NULL,
    "offset" bigint NOT NULL,
    taken timestamptz NOT NULL DEFAULT now(),
    body bytea NOT NULL,
    PRIMARY KEY (epoch, "offset")
);

CREATE TABLE contacts (
    id uuid PRIMARY KEY,
    node text NOT NULL DEFAULT '',
    channel text NOT NULL,
    ani text NOT NULL DEFAULT '',
    dnis text NOT NULL DEFAULT '',
    display text NOT NULL DEFAULT '',
    entry_point text NOT NULL,
    queue text,
    agent text,
    arrived timestamptz NOT NULL,
    answered timestamptz,
    ended timestamptz,
    final text,
    waited double precision NOT NULL DEFAULT 0,
    talked double precision NOT NULL DEFAULT 0,
    held double precision NOT NULL DEFAULT 0,
    wrap_up_code text,
    cad jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX contacts_arrived ON contacts (arrived DESC, id DESC);
CREATE INDEX contacts_ani ON contacts (ani, arrived DESC);
CREATE INDEX contacts_open ON contacts (arrived) WHERE final IS NULL;

CREATE TABLE visits (
    id text PRIMARY KEY,
    contact uuid NOT NULL,
    queue text NOT NULL,
    queued timestamptz NOT NULL,
    ended timestamptz NOT NULL,
    how text NOT NULL,
    waited double precision NOT NULL,
    talked double precision NOT NULL,
    within boolean NOT NULL
);
CREATE INDEX visits_contact ON visits (contact);

CREATE TABLE segments (
    contact uuid NOT NULL,
    number integer NOT NULL,
    agent text NOT NULL,
    queue text,
    visit text,
    started timestamptz NOT NULL,
    ended timestamptz,
    how text,
    talked double precision NOT NULL DEFAULT 0,
    wrap_up double precision NOT NULL DEFAULT 0,
    wrap_up_code text,
    PRIMARY KEY (contact, number)
);

CREATE TABLE legs (
    contact uuid NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    call text,
    owner text,
    started timestamptz,
    connected timestamptz,
    ended timestamptz,
    result text,
    reason text,
    "by" text,
    sip_code integer,
    quality jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (contact, id)
);

CREATE TABLE recordings (
    id uuid PRIMARY KEY,
    contact uuid NOT NULL,
    kind text NOT NULL,
    queue text,
    agent text,
    state text NOT NULL CHECK (state IN ('pending', 'closed', 'stored', 'failed', 'dropped')),
    started timestamptz NOT NULL,
    seconds double precision NOT NULL DEFAULT 0,
    paused jsonb NOT NULL DEFAULT '[]',
    left_file text,
    right_file text,
    file text,
    wrapped_key text,
    media_type text,
    size bigint NOT NULL DEFAULT 0,
    sha256 text,
    left_talk double precision NOT NULL DEFAULT 0,
    left_silence double precision NOT NULL DEFAULT 0,
    right_talk double precision NOT NULL DEFAULT 0,
    right_silence double precision NOT NULL DEFAULT 0,
    overlap double precision NOT NULL DEFAULT 0,
    peaks_left jsonb NOT NULL DEFAULT '[]',
    peaks_right jsonb NOT NULL DEFAULT '[]',
    peaks_per_second double precision NOT NULL DEFAULT 0,
    problem text
);
CREATE INDEX recordings_started ON recordings (started DESC, id DESC);
CREATE INDEX recordings_contact ON recordings (contact);
CREATE INDEX recordings_unfiled ON recordings (state) WHERE state IN ('pending', 'closed');

CREATE TABLE decisions (
    offer text PRIMARY KEY,
    contact uuid NOT NULL,
    agent text NOT NULL,
    queue text NOT NULL,
    made timestamptz NOT NULL,
    body jsonb NOT NULL
);
CREATE INDEX decisions_contact ON decisions (contact);
