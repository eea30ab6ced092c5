//! Each way to credentials, against a service that says what it is told.

use super::aws::Aws;
use super::azure::{Azure, Proof};
use super::*;
use gantry_http::client::Client;
use gantry_runtime::clock::Clock;
use std::io::Write as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const NOW_MS: UnixMs = 1_700_000_000_000;

/// Answers each connection's one request with the next of `answers`; returns its address and the
/// requests that came.
async fn service(answers: Vec<(u16, String)>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heard, requests) = mpsc::channel(answers.len());
    gantry_runtime::tasks::spawn("service", async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !whole(&request) {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).await.unwrap();
                request.extend(&part[..read]);
            }
            heard.send(String::from_utf8(request).unwrap()).await.unwrap();
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
            let answer = format!("{head}connection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, requests)
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn environment(variables: &[(&'static str, &str)]) -> Environment {
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Environment::new(move |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| Secret::new(value.clone()))
    })
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn client() -> Client {
    Client::new(Clock::system())
}

fn role(number: u32, expiration: &str) -> (u16, String) {
    let keys = format!(
        "<AccessKeyId>id{number}</AccessKeyId><SecretAccessKey>the-secret</SecretAccessKey>\
         <SessionToken>the-session</SessionToken><Expiration>{expiration}</Expiration>"
    );
    let name = "AssumeRoleWithWebIdentityResponse";
    let result = format!("<R><Credentials>{keys}</Credentials></R>");
    (200, format!("<{name} xmlns=\"https://sts.amazonaws.com/\">{result}</{name}>"))
}

#[tokio::test]
async fn a_role_is_assumed_by_web_identity_and_renewed_before_it_ends() {
    // 2023-11-14T22:13:20Z is NOW_MS.
    let answers = vec![role(1, "2023-11-14T23:13:20Z"), role(2, "2023-11-15T23:13:20Z")];
    let (url, mut requests) = service(answers).await;
    let token = file("the+token\n");
    let variables = environment(&[
        ("AWS_ENDPOINT_URL_STS", &url),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap()),
    ]);
    let aws = Aws::from_environment(&variables, "eu-west-1").unwrap();
    let client = client();
    for (now_ms, id) in [
        (NOW_MS, "id1"),
        (NOW_MS + 54 * 60_000, "id1"),
        (NOW_MS + 56 * 60_000, "id2"),
        // Nobody answers a third call, and nothing needs it.
        (NOW_MS + 60 * 60_000, "id2"),
    ] {
        let keys = aws.keys(&client, now_ms).await.unwrap();
        assert_eq!(keys.access_key_id, id, "{now_ms}");
        assert_eq!(keys.session_token.unwrap().expose(), "the-session");
    }
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST / HTTP/1.1"), "{request}");
    let form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&\
        RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=gantry&\
        WebIdentityToken=the%2Btoken";
    assert!(request.ends_with(form), "{request}");
    assert!(!format!("{aws:?}").contains("the-"), "{aws:?}");
}

#[tokio::test]
async fn container_credentials_are_asked_for_with_the_token_in_the_file() {
    let keys = r#"{"AccessKeyId":"id","SecretAccessKey":"s","Token":"t",
        "Expiration":"2023-11-14T23:13:20Z"}"#;
    let (url, mut requests) = service(vec![(200, keys.to_owned())]).await;
    let token = file("pod-token");
    let variables = environment(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}/v1/credentials")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.path().to_str().unwrap()),
    ]);
    let aws = Aws::from_environment(&variables, "eu-west-1").unwrap();
    assert_eq!(aws.keys(&client(), NOW_MS).await.unwrap().access_key_id, "id");
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("GET /v1/credentials HTTP/1.1"), "{request}");
    assert!(request.contains("authorization: pod-token\r\n"), "{request}");
}

#[tokio::test]
async fn workload_identity_is_exchanged_at_entra_for_a_token() {
    let granted = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"the-grant"}"#;
    let (url, mut requests) = service(vec![(200, granted.to_owned())]).await;
    let token = file("the-assertion");
    let variables = environment(&[
        ("AZURE_AUTHORITY_HOST", &format!("{url}/")),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_FEDERATED_TOKEN_FILE", token.path().to_str().unwrap()),
    ]);
    let azure = Azure::from_environment(&variables, "account").unwrap();
    let proof = azure.proof(&client(), NOW_MS).await.unwrap();
    assert!(matches!(&proof, Proof::Bearer(token) if token.expose() == "the-grant"));
    // Still held: the service is gone.
    azure.proof(&client(), NOW_MS + 60_000).await.unwrap();
    assert!(!format!("{azure:?} {proof:?}").contains("the-"));
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /tenant/oauth2/v2.0/token HTTP/1.1"), "{request}");
    assert!(request.contains("scope=https%3A%2F%2Fstorage.azure.com%2F.default"), "{request}");
    assert!(request.ends_with("client_assertion=the-assertion"), "{request}");
}

#[tokio::test]
async fn an_old_role_serves_on_while_it_holds_and_a_refusal_says_what_was_said() {
    let refusal = (403, "<Error><Code>AccessDenied</Code></Error>".to_owned());
    let answers = vec![role(1, "2023-11-14T22:15:20Z"), refusal.clone(), refusal];
    let (url, _requests) = service(answers).await;
    let token = file("token");
    let variables = environment(&[
        ("AWS_ENDPOINT_URL_STS", &url),
        ("AWS_ROLE_ARN", "r"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap()),
    ]);
    let aws = Aws::from_environment(&variables, "eu-west-1").unwrap();
    let client = client();
    assert_eq!(aws.keys(&client, NOW_MS).await.unwrap().access_key_id, "id1");
    assert_eq!(aws.keys(&client, NOW_MS + 60_000).await.unwrap().access_key_id, "id1");
    let error = aws.keys(&client, NOW_MS + 180_000).await.unwrap_err();
    assert!(!error.temporary());
    assert!(error.to_string().contains("403 <Error><Code>AccessDenied"), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    let cases: [(&[(&'static str, &str)], &str); 4] = [
        (&[], "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run"),
        (&[("AWS_ACCESS_KEY_ID", "a")], "AWS_ACCESS_KEY_ID is set, so set AWS_SECRET_ACCESS_KEY"),
        (&[("AWS_SECRET_ACCESS_KEY", "the-secret")], "so set AWS_ACCESS_KEY_ID too"),
        (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.evil/x")], "must be https"),
    ];
    for (variables, message) in cases {
        let error = Aws::from_environment(&environment(variables), "r").unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("the-secret"));
    }
    let error = Azure::from_environment(&environment(&[]), "a").unwrap_err().to_string();
    assert!(error.contains("AZURE_STORAGE_KEY") && error.contains("AZURE_CLIENT_ID"), "{error}");
}
