"""The forms of requests, as OpenAPI describes them; answers are written by the routes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

Direction = Literal["left", "right"]
Ids = list[StrictInt]
Inputs = StrictStr | list[StrictStr | Ids] | Ids
Number = StrictInt | StrictFloat


class Form(BaseModel):
    """A JSON object; members that it does not have are let pass, as Text Embeddings Inference does."""

    model_config = ConfigDict(extra="ignore")


class Strict(BaseModel):
    """A JSON object; members that it does not have are refused."""

    model_config = ConfigDict(extra="forbid")


class Refusal(BaseModel):
    """Why a request is not answered."""

    error: str
    error_type: Literal["unhealthy", "backend", "overloaded", "validation", "tokenizer", "empty"]


class EmbedSparse(Form):
    """Texts, or the token ids of texts, to encode."""

    inputs: Inputs = Field(description="a text, the token ids of a text, or a list of these")
    truncate: StrictBool | None = Field(None, description="false: refuse texts that are too long; null: cut them")
    truncation_direction: Literal["left", "right", "Left", "Right"] = "right"
    prompt_name: Literal["query", "document"] | None = Field(None, description="the model's side; null: document")


class Tokenize(Form):
    """Texts to cut into tokens."""

    inputs: StrictStr | list[StrictStr]
    add_special_tokens: StrictBool = True
    prompt_name: Literal["query", "document"] | None = None


class Decode(Form):
    """Token ids to spell."""

    ids: Ids | list[Ids]
    skip_special_tokens: StrictBool = True


class Rerank(Form):
    """Texts to order by their score for a query."""

    query: StrictStr
    texts: list[StrictStr]
    truncate: StrictBool | None = None
    truncation_direction: Literal["left", "right", "Left", "Right"] = "right"
    raw_scores: StrictBool = Field(False, description="true: inner products; false: score / (1 + score), below 1")
    return_text: StrictBool = False


class ElasticInference(Form):
    """Elasticsearch's sparse embeddings."""

    input: StrictStr | list[StrictStr]
    input_type: StrictStr | None = Field(None, description="search or SEARCH: the query side; otherwise documents")
    task_settings: dict[str, Any] | None = None


class IndicesValuesRequest(Form):
    """Texts to encode in the form of Qdrant and Pinecone."""

    inputs: Inputs
    truncate: StrictBool | None = None
    prompt_name: Literal["query", "document"] | None = None


class Embeddings(Form):
    """OpenAI's embeddings, which are dense; only ``encoding_format`` sparse is answered."""

    input: Inputs
    model: StrictStr | None = None
    encoding_format: StrictStr | None = None
    user: StrictStr | None = None
    dimensions: StrictInt | None = None


class Vector(Strict):
    """A sparse vector: term numbers of the index, and a weight above 0 for each."""

    indices: list[Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]]
    values: list[Annotated[Number, Field(gt=0, lt=3e38)]]


class SearchRequest(Strict):
    """A query, and the hits that are wanted."""

    query: StrictStr | Vector
    k: Annotated[StrictInt, Field(ge=1)] = 10
    filter: list[StrictStr] | None = Field(None, description="ids of the documents that may be found; null: all")
    strategy: Literal["auto", "exhaustive", "block_max", "approximate", "two_step"] | None = None
    recall: Annotated[Number, Field(gt=0, le=1)] | None = Field(None, description="share of the best that is found")
    explain: StrictBool = Field(False, description="true: tell the terms that make each score")
    text: StrictBool = Field(True, description="false: leave titles and texts out")
    system: StrictStr | None = Field(None, description="the model and index to ask, of those in /info; null: the first")


class ExplainRequest(Strict):
    """A query and a document, any two texts; one of them is enough."""

    query: StrictStr | None = None
    document: StrictStr | None = None
    system: StrictStr | None = None
