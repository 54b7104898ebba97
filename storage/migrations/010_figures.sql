-- The figures by the quarter of an hour (acd/figures), and the rows that are behind them: every stay in a queue from its
-- beginning, every offer.

CREATE TABLE figure_visits (
    start timestamptz NOT NULL,
    queue text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    offered bigint NOT NULL,
    handled bigint NOT NULL,
    abandoned bigint NOT NULL,
    short_abandoned bigint NOT NULL,
    flowed_out bigint NOT NULL,
    rejected bigint NOT NULL,
    failed bigint NOT NULL,
    open bigint NOT NULL,
    handled_within bigint NOT NULL,
    abandoned_within bigint NOT NULL,
    wait_ms bigint NOT NULL,
    handled_wait_ms bigint NOT NULL,
    abandoned_wait_ms bigint NOT NULL,
    longest_ms bigint NOT NULL,
    PRIMARY KEY (start, queue, channel, kind)
);

CREATE TABLE figure_ends (
    start timestamptz NOT NULL,
    queue text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    how text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (start, queue, channel, kind, how, reason)
);

CREATE TABLE figure_work (
    start timestamptz NOT NULL,
    agent text NOT NULL,
    queue text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    offers bigint NOT NULL,
    accepted bigint NOT NULL,
    rona bigint NOT NULL,
    declined bigint NOT NULL,
    withdrawn bigint NOT NULL,
    handled bigint NOT NULL,
    transferred bigint NOT NULL,
    failed bigint NOT NULL,
    connect_failed bigint NOT NULL,
    agent_lost bigint NOT NULL,
    not_reached bigint NOT NULL,
    talk_ms bigint NOT NULL,
    hold_ms bigint NOT NULL,
    wrap_up_ms bigint NOT NULL,
    PRIMARY KEY (start, agent, queue, channel, kind)
);

CREATE TABLE figure_states (
    start timestamptz NOT NULL,
    agent text NOT NULL,
    state text NOT NULL,
    code text NOT NULL,
    ms bigint NOT NULL,
    PRIMARY KEY (start, agent, state, code)
);

CREATE TABLE figure_watermark (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    at timestamptz NOT NULL
);
COMMENT ON TABLE figure_watermark IS 'What happened until then is in the figures.';

ALTER TABLE visits
    ALTER COLUMN ended DROP NOT NULL,
    ALTER COLUMN how DROP NOT NULL,
    ALTER COLUMN waited DROP NOT NULL,
    ALTER COLUMN talked DROP NOT NULL,
    ALTER COLUMN within DROP NOT NULL,
    ADD COLUMN channel text NOT NULL DEFAULT 'voice',
    ADD COLUMN kind text NOT NULL DEFAULT 'direct',
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN answered timestamptz;
CREATE INDEX visits_queued ON visits (queued);
CREATE INDEX visits_ended ON visits (ended);
CREATE INDEX visits_open ON visits (queued) WHERE ended IS NULL;
CREATE INDEX segments_ended ON segments (ended);

CREATE TABLE offers (
    id text PRIMARY KEY,
    contact uuid NOT NULL,
    visit text NOT NULL,
    agent text NOT NULL,
    queue text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    made timestamptz NOT NULL,
    ended timestamptz,
    how text CHECK (how IN ('accepted', 'rona', 'declined', 'withdrawn')),
    why text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT ''
);
CREATE INDEX offers_made ON offers (made);
CREATE INDEX offers_ended ON offers (ended);
