-- Everything the control plane keeps; the same tables as for SQLite. Times are milliseconds since
-- the Unix epoch, booleans are 0 or 1, documents are JSON as text, sealed values are text (see
-- `seal.rs`). What lists are ordered by compares byte by byte (COLLATE "C"), as in SQLite, whatever
-- the language of the database.

CREATE TABLE tenants (
    name            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    generation      BIGINT NOT NULL,
    sealed_data_key TEXT   NOT NULL,
    created_at_ms   BIGINT NOT NULL
);

-- `labels` is a JSON object of texts; `status` is JSON of the kind's own; `observed_generation` is
-- the resource's generation that the status speaks of, null where nothing was said yet.
CREATE TABLE resources (
    tenant              TEXT COLLATE "C" NOT NULL REFERENCES tenants (name),
    family              TEXT COLLATE "C" NOT NULL,
    name                TEXT COLLATE "C" NOT NULL,
    kind                TEXT COLLATE "C" NOT NULL,
    generation          BIGINT NOT NULL,
    spec                TEXT   NOT NULL,
    authored            TEXT   NOT NULL,
    workspace           TEXT COLLATE "C",
    labels              TEXT   NOT NULL DEFAULT '{}',
    status              TEXT,
    observed_generation BIGINT,
    created_by          TEXT   NOT NULL,
    created_at_ms       BIGINT NOT NULL,
    updated_at_ms       BIGINT NOT NULL,
    PRIMARY KEY (tenant, family, name)
);

CREATE INDEX resources_by_update ON resources (tenant, updated_at_ms, family, name);
CREATE INDEX resources_by_workspace ON resources (tenant, workspace, family, name);

CREATE TABLE secrets (
    tenant        TEXT COLLATE "C" NOT NULL REFERENCES tenants (name),
    reference     TEXT COLLATE "C" NOT NULL,
    owner         TEXT   NOT NULL,
    sealed        TEXT   NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, reference)
);

CREATE TABLE tokens (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant        TEXT COLLATE "C" NOT NULL REFERENCES tenants (name),
    sha256        TEXT COLLATE "C" NOT NULL UNIQUE,
    purpose       TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    subject       TEXT COLLATE "C" NOT NULL,
    format        TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT
);

CREATE INDEX tokens_by_subject ON tokens (tenant, subject);
CREATE INDEX tokens_by_creation ON tokens (tenant, created_at_ms, id);

CREATE TABLE users (
    tenant        TEXT COLLATE "C" NOT NULL REFERENCES tenants (name),
    email         TEXT COLLATE "C" NOT NULL,
    admin         BIGINT NOT NULL,
    teams         TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, email)
);

-- Deeds are numbered per tenant: several fall into one millisecond.
CREATE TABLE audit (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants (name),
    number BIGINT NOT NULL,
    at_ms  BIGINT NOT NULL,
    actor  TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    name   TEXT COLLATE "C" NOT NULL,
    before TEXT,
    after  TEXT,
    PRIMARY KEY (tenant, number)
);
