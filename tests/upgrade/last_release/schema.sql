SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA public;
ALTER SCHEMA public OWNER TO pg_database_owner;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
ALTER TABLE public.alembic_version OWNER TO headrace_owner;
CREATE TABLE public.chunks (
    id uuid NOT NULL,
    tenant text NOT NULL,
    document_id text NOT NULL,
    revision bigint NOT NULL,
    job text NOT NULL,
    run integer NOT NULL,
    page integer NOT NULL,
    chunk integer NOT NULL,
    plan text NOT NULL,
    digest text NOT NULL,
    text text NOT NULL,
    box double precision[],
    image_width integer,
    image_height integer,
    embedding public.vector(384) NOT NULL,
    boxes jsonb DEFAULT '[]'::jsonb NOT NULL,
    language text DEFAULT ''::text NOT NULL,
    words tsvector DEFAULT ''::tsvector NOT NULL
);
ALTER TABLE ONLY public.chunks FORCE ROW LEVEL SECURITY;
ALTER TABLE public.chunks OWNER TO headrace_owner;
CREATE TABLE public.parts (
    job text NOT NULL,
    part integer NOT NULL,
    kind text NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    ce_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    pages integer,
    step text,
    code text,
    detail text,
    CONSTRAINT parts_kind_check CHECK (((kind = ANY (ARRAY['submitted'::text, 'prepared'::text, 'read'::text, 'failed'::text, 'cancelling'::text])) OR (kind ~ '^(indexed|skipped):.'::text)))
);
ALTER TABLE ONLY public.parts FORCE ROW LEVEL SECURITY;
ALTER TABLE public.parts OWNER TO headrace_owner;
CREATE VIEW public.current_parts WITH (security_invoker='true') AS
 SELECT job,
    part,
    kind,
    tenant,
    run,
    ce_id,
    at,
    pages,
    step,
    code,
    detail
   FROM ( SELECT parts.job,
            parts.part,
            parts.kind,
            parts.tenant,
            parts.run,
            parts.ce_id,
            parts.at,
            parts.pages,
            parts.step,
            parts.code,
            parts.detail,
            max(parts.run) OVER (PARTITION BY parts.job, parts.part) AS own,
            max(parts.run) FILTER (WHERE (parts.part = 0)) OVER (PARTITION BY parts.job) AS documents
           FROM public.parts) seen
  WHERE (run >= GREATEST(own, documents));
ALTER VIEW public.current_parts OWNER TO headrace_owner;
CREATE TABLE public.documents (
    tenant text NOT NULL,
    document_id text NOT NULL,
    revision bigint NOT NULL,
    job text NOT NULL,
    current bigint,
    dropped bigint DEFAULT 0 NOT NULL
);
ALTER TABLE ONLY public.documents FORCE ROW LEVEL SECURITY;
ALTER TABLE public.documents OWNER TO headrace_owner;
CREATE TABLE public.inbox (
    consumer text NOT NULL,
    ce_id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE public.inbox OWNER TO headrace_owner;
CREATE TABLE public.incarnation (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    "only" boolean DEFAULT true NOT NULL,
    CONSTRAINT incarnation_only_check CHECK ("only")
);
ALTER TABLE public.incarnation OWNER TO headrace_owner;
CREATE TABLE public.index_drops (
    index text NOT NULL,
    tenant text NOT NULL,
    document_id text NOT NULL,
    dropped bigint NOT NULL
);
ALTER TABLE ONLY public.index_drops FORCE ROW LEVEL SECURITY;
ALTER TABLE public.index_drops OWNER TO headrace_owner;
CREATE TABLE public.indexed_pages (
    job text NOT NULL,
    page integer NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    index text DEFAULT 'pgvector'::text NOT NULL
);
ALTER TABLE ONLY public.indexed_pages FORCE ROW LEVEL SECURITY;
ALTER TABLE public.indexed_pages OWNER TO headrace_owner;
CREATE TABLE public.job_events (
    job text NOT NULL,
    seq integer NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    event text NOT NULL,
    part integer DEFAULT 0 NOT NULL,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.job_events FORCE ROW LEVEL SECURITY;
ALTER TABLE public.job_events OWNER TO headrace_owner;
CREATE TABLE public.jobs (
    id text NOT NULL,
    tenant text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    cancelling boolean DEFAULT false NOT NULL,
    run integer DEFAULT 1 NOT NULL,
    runs integer[] DEFAULT '{1,0}'::integer[] NOT NULL,
    document_id text NOT NULL,
    revision bigint NOT NULL,
    plan text NOT NULL,
    lane text NOT NULL,
    data_class text NOT NULL,
    deadline timestamp with time zone,
    pipeline text NOT NULL,
    filename text,
    source_key text,
    source_sha256 text,
    source_size bigint,
    pages_total integer,
    created_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    last_event integer DEFAULT 0 NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    CONSTRAINT jobs_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'partial'::text, 'failed'::text, 'cancelled'::text, 'expired'::text])))
)
WITH (fillfactor='80');
ALTER TABLE ONLY public.jobs FORCE ROW LEVEL SECURITY;
ALTER TABLE public.jobs OWNER TO headrace_owner;
CREATE TABLE public.outbox (
    seq bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    ce_id uuid NOT NULL,
    tenant text NOT NULL,
    job text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    headers jsonb NOT NULL,
    value text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY public.outbox FORCE ROW LEVEL SECURITY;
ALTER TABLE public.outbox OWNER TO headrace_owner;
ALTER TABLE public.outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.projection (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint,
    through timestamp with time zone NOT NULL
);
ALTER TABLE public.projection OWNER TO headrace_owner;
CREATE TABLE public.results (
    job text NOT NULL,
    part integer NOT NULL,
    tenant text NOT NULL,
    run integer NOT NULL,
    ce_id uuid NOT NULL,
    payload jsonb NOT NULL,
    text text NOT NULL
);
ALTER TABLE ONLY public.results FORCE ROW LEVEL SECURITY;
ALTER TABLE public.results OWNER TO headrace_owner;
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (tenant, document_id);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (consumer, ce_id);
ALTER TABLE ONLY public.incarnation
    ADD CONSTRAINT incarnation_pkey PRIMARY KEY ("only");
ALTER TABLE ONLY public.index_drops
    ADD CONSTRAINT index_drops_pkey PRIMARY KEY (index, tenant, document_id);
ALTER TABLE ONLY public.indexed_pages
    ADD CONSTRAINT indexed_pages_pkey PRIMARY KEY (index, job, page);
ALTER TABLE ONLY public.job_events
    ADD CONSTRAINT job_events_job_run_part_event_key UNIQUE (job, run, part, event);
ALTER TABLE ONLY public.job_events
    ADD CONSTRAINT job_events_pkey PRIMARY KEY (job, seq);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_ce_id_key UNIQUE (ce_id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.parts
    ADD CONSTRAINT parts_pkey PRIMARY KEY (job, part, kind);
ALTER TABLE ONLY public.projection
    ADD CONSTRAINT projection_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY public.results
    ADD CONSTRAINT results_pkey PRIMARY KEY (job, part);
CREATE INDEX chunks_by_direction ON public.chunks USING hnsw (embedding public.vector_cosine_ops);
CREATE INDEX chunks_by_page ON public.chunks USING btree (tenant, document_id, revision, page);
CREATE INDEX chunks_by_words ON public.chunks USING gin (words);
CREATE INDEX documents_by_age ON public.documents USING btree (tenant, revision);
CREATE INDEX inbox_by_age ON public.inbox USING brin (at);
CREATE INDEX jobs_by_creation ON public.jobs USING btree (tenant, created_at DESC, id DESC);
CREATE INDEX jobs_by_document ON public.jobs USING btree (tenant, document_id, revision);
CREATE INDEX jobs_by_end ON public.jobs USING btree (tenant, finished_at DESC, id DESC) WHERE (finished_at IS NOT NULL);
CREATE INDEX outbox_by_commit ON public.outbox USING btree (xid, seq);
ALTER TABLE public.chunks ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.index_drops ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.indexed_pages ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.job_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON public.chunks FOR SELECT TO headrace_api USING ((tenant = current_setting('headrace.tenant'::text, true)));
CREATE POLICY own_tenant ON public.documents FOR SELECT TO headrace_api USING ((tenant = current_setting('headrace.tenant'::text, true)));
CREATE POLICY own_tenant ON public.job_events FOR SELECT TO headrace_api USING ((tenant = current_setting('headrace.tenant'::text, true)));
CREATE POLICY own_tenant ON public.jobs FOR SELECT TO headrace_api USING ((tenant = current_setting('headrace.tenant'::text, true)));
CREATE POLICY own_tenant ON public.parts FOR SELECT TO headrace_api USING ((tenant = current_setting('headrace.tenant'::text, true)));
CREATE POLICY own_tenant ON public.results FOR SELECT TO headrace_api USING ((tenant = current_setting('headrace.tenant'::text, true)));
ALTER TABLE public.parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.results ENABLE ROW LEVEL SECURITY;
CREATE POLICY sinks ON public.chunks TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.documents TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.index_drops TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.indexed_pages TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.job_events TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.jobs TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.outbox TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.parts TO headrace_sink USING (true) WITH CHECK (true);
CREATE POLICY sinks ON public.results TO headrace_sink USING (true) WITH CHECK (true);
GRANT ALL ON SCHEMA public TO headrace_owner;
GRANT USAGE ON SCHEMA public TO headrace_api;
GRANT USAGE ON SCHEMA public TO headrace_sink;
GRANT SELECT ON TABLE public.chunks TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chunks TO headrace_sink;
GRANT SELECT ON TABLE public.parts TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parts TO headrace_sink;
GRANT SELECT ON TABLE public.current_parts TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.current_parts TO headrace_sink;
GRANT SELECT ON TABLE public.documents TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.documents TO headrace_sink;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.inbox TO headrace_sink;
GRANT SELECT ON TABLE public.incarnation TO headrace_sink;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.index_drops TO headrace_sink;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.indexed_pages TO headrace_sink;
GRANT SELECT ON TABLE public.job_events TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_events TO headrace_sink;
GRANT SELECT ON TABLE public.jobs TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.jobs TO headrace_sink;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO headrace_sink;
GRANT SELECT ON TABLE public.projection TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.projection TO headrace_sink;
GRANT SELECT ON TABLE public.results TO headrace_api;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.results TO headrace_sink;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
INSERT INTO public.alembic_version VALUES ('0003');
