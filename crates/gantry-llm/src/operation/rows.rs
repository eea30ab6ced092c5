//! The APIs and operations of this binary: one row each.
//!
//! A new operation is a new row. Texts about wrong paths, addresses of upstreams, checks of model
//! types and the names in records all come from here.

use super::{
    Address, Api, BodyCodec, Elsewhere, Exchange, Framer, Handler, Meaning, Method, Operation,
    Path, ReplyCodec, Unit,
};
use crate::dialect::anthropic::{Anthropic, Messages};
use crate::dialect::openai::{Choices, Embeddings, OpenAi};
use crate::dialect::responses::Responses;

/// OpenAI's API.
pub static OPENAI: Api = Api { name: "openai", dialect: &OpenAi, header: None };

/// OpenAI's wire format at Azure's paths.
pub static AZURE: Api = Api { name: "azure-openai", dialect: &OpenAi, header: None };

/// OpenAI's API of responses.
pub(super) static RESPONSES: Api =
    Api { name: "openai-responses", dialect: &Responses, header: None };

/// Anthropic's API.
pub static ANTHROPIC: Api =
    Api { name: "anthropic", dialect: &Anthropic, header: Some("anthropic-version") };

/// All operations; where two share a path and neither API's header is sent, the first counts.
pub static ALL: &[Operation] = &[
    Operation {
        name: "chat",
        method: Method::Post,
        paths: &[
            Path { api: &OPENAI, pattern: "v1/chat/completions", stream: None },
            Path { api: &AZURE, pattern: "openai/v1/chat/completions", stream: None },
            Path { api: &AZURE, pattern: "openai/chat/completions", stream: None },
            Path {
                api: &AZURE,
                pattern: "openai/deployments/{model}/chat/completions",
                stream: None,
            },
        ],
        handler: Handler::Upstream(Exchange {
            dialect: &OpenAi,
            address: Address::same("chat/completions"),
            body: BodyCodec::Json,
            reply: ReplyCodec::Json,
            framer: Framer::Sse,
            replies: Some(&Choices),
            unit: Unit::Tokens,
            model_types: &["chat"],
            elsewhere: Elsewhere::Translated(Meaning::Answer),
            reshapes: true,
        }),
    },
    Operation {
        name: "responses",
        method: Method::Post,
        paths: &[
            Path { api: &RESPONSES, pattern: "v1/responses", stream: None },
            Path { api: &RESPONSES, pattern: "openai/v1/responses", stream: None },
            Path { api: &RESPONSES, pattern: "openai/responses", stream: None },
        ],
        handler: Handler::Upstream(Exchange {
            dialect: &Responses,
            address: Address::same("responses"),
            body: BodyCodec::Json,
            reply: ReplyCodec::Json,
            framer: Framer::Sse,
            replies: None,
            unit: Unit::Tokens,
            model_types: &["chat"],
            elsewhere: Elsewhere::Translated(Meaning::Answer),
            reshapes: false,
        }),
    },
    Operation {
        name: "completion",
        method: Method::Post,
        paths: &[
            Path { api: &OPENAI, pattern: "v1/completions", stream: None },
            Path { api: &AZURE, pattern: "openai/v1/completions", stream: None },
            Path { api: &AZURE, pattern: "openai/completions", stream: None },
            Path { api: &AZURE, pattern: "openai/deployments/{model}/completions", stream: None },
        ],
        handler: Handler::Upstream(Exchange {
            dialect: &OpenAi,
            address: Address::same("completions"),
            body: BodyCodec::Json,
            reply: ReplyCodec::Json,
            framer: Framer::Sse,
            replies: Some(&Choices),
            unit: Unit::Tokens,
            // Servers of chat models mostly serve plain completions too, and say no themselves.
            model_types: &["completion", "chat"],
            elsewhere: Elsewhere::Refused,
            reshapes: false,
        }),
    },
    Operation {
        name: "embedding",
        method: Method::Post,
        paths: &[
            Path { api: &OPENAI, pattern: "v1/embeddings", stream: None },
            Path { api: &AZURE, pattern: "openai/v1/embeddings", stream: None },
            Path { api: &AZURE, pattern: "openai/embeddings", stream: None },
            Path { api: &AZURE, pattern: "openai/deployments/{model}/embeddings", stream: None },
        ],
        handler: Handler::Upstream(Exchange {
            dialect: &OpenAi,
            address: Address::same("embeddings"),
            body: BodyCodec::Json,
            reply: ReplyCodec::Json,
            framer: Framer::Nothing,
            replies: Some(&Embeddings),
            unit: Unit::Tokens,
            model_types: &["embedding"],
            elsewhere: Elsewhere::Refused,
            reshapes: false,
        }),
    },
    Operation {
        name: "models",
        method: Method::Get,
        paths: &[
            Path { api: &OPENAI, pattern: "v1/models", stream: None },
            Path { api: &OPENAI, pattern: "v1/models/{model}", stream: None },
            Path { api: &AZURE, pattern: "openai/v1/models", stream: None },
            Path { api: &AZURE, pattern: "openai/v1/models/{model}", stream: None },
            Path { api: &AZURE, pattern: "openai/models", stream: None },
            Path { api: &AZURE, pattern: "openai/models/{model}", stream: None },
        ],
        handler: Handler::Local("openai-models"),
    },
    Operation {
        name: "models",
        method: Method::Get,
        paths: &[
            Path { api: &ANTHROPIC, pattern: "v1/models", stream: None },
            Path { api: &ANTHROPIC, pattern: "v1/models/{model}", stream: None },
        ],
        handler: Handler::Local("anthropic-models"),
    },
    Operation {
        name: "messages",
        method: Method::Post,
        paths: &[Path { api: &ANTHROPIC, pattern: "v1/messages", stream: None }],
        handler: Handler::Upstream(Exchange {
            dialect: &Anthropic,
            address: Address::same("messages"),
            body: BodyCodec::Json,
            reply: ReplyCodec::Json,
            framer: Framer::Sse,
            replies: Some(&Messages),
            unit: Unit::Tokens,
            model_types: &["chat"],
            elsewhere: Elsewhere::Translated(Meaning::Answer),
            reshapes: false,
        }),
    },
    Operation {
        name: "count_tokens",
        method: Method::Post,
        paths: &[Path { api: &ANTHROPIC, pattern: "v1/messages/count_tokens", stream: None }],
        handler: Handler::Upstream(Exchange {
            dialect: &Anthropic,
            address: Address::same("messages/count_tokens"),
            body: BodyCodec::Json,
            reply: ReplyCodec::Json,
            framer: Framer::Nothing,
            replies: None,
            unit: Unit::Nothing,
            model_types: &["chat"],
            elsewhere: Elsewhere::Estimated(|tokens| format!("{{\"input_tokens\":{tokens}}}")),
            reshapes: false,
        }),
    },
];
