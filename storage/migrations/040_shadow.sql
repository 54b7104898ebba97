-- Waits of the same contacts under the live rules and under a second rule set that only looks on.

CREATE TABLE shadow_waits (
    run integer NOT NULL,
    contact text NOT NULL,
    queue text NOT NULL,
    queued timestamptz NOT NULL,
    waited double precision NOT NULL,
    how text NOT NULL,
    shadow_waited double precision NOT NULL,
    shadow_how text NOT NULL,
    PRIMARY KEY (run, contact)
);
COMMENT ON COLUMN shadow_waits.run IS 'The version of the document shadow/rules that was being tried.';
CREATE INDEX shadow_waits_queued ON shadow_waits (run, queued);
