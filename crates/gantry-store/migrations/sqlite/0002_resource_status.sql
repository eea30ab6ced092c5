-- What lists select resources by, and what reconcilers say of them. `labels` is a JSON object of
-- texts; `status` is JSON of the kind's own; `observed_generation` is the resource's generation
-- that the status speaks of, null where nothing was said yet.

ALTER TABLE resources ADD COLUMN workspace TEXT;
ALTER TABLE resources ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE resources ADD COLUMN status TEXT;
ALTER TABLE resources ADD COLUMN observed_generation BIGINT;

CREATE INDEX resources_by_update ON resources (tenant, updated_at_ms, family, name);
CREATE INDEX resources_by_workspace ON resources (tenant, workspace, family, name);
CREATE INDEX tokens_by_creation ON tokens (tenant, created_at_ms, id);
