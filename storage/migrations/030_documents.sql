-- Who changed a document, and its end: a version without a body.

ALTER TABLE documents
    ADD COLUMN changed_by text NOT NULL DEFAULT '',
    ADD COLUMN deleted boolean NOT NULL DEFAULT false;
