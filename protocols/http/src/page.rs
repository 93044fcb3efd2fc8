//! What the gate itself answers at an application's host: a page for a person, JSON for a program.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde_json::json;

/// What the gate says.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) message: String,
    /// Where to go on.
    pub(crate) url: Option<String>,
    /// What a program gets instead of the message.
    pub(crate) json: Option<serde_json::Value>,
    /// Headers beside those that every answer has.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Nothing is loaded, nobody frames it, nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

/// For whom an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A person whose browser goes to a page.
    Navigation,
    /// A person who sees the answer as a page, and can't be led elsewhere: a form that was sent, a frame.
    Page,
    /// A script or a program.
    Program,
    /// A gRPC client.
    Grpc,
}

impl Reader {
    /// By what browsers say of a request (Fetch Metadata), or else by what the client would like to get.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if text("content-type").starts_with("application/grpc") {
            return Self::Grpc;
        }
        let page = match text("sec-fetch-mode") {
            "navigate" => true,
            "" => text("accept").contains("text/html"),
            _ => false,
        };
        let upgrade = headers.contains_key(header::UPGRADE);
        let topmost = matches!(text("sec-fetch-dest"), "" | "document");
        match (page && !upgrade, *method == Method::GET && topmost) {
            (false, _) => Self::Program,
            (true, true) => Self::Navigation,
            (true, false) => Self::Page,
        }
    }
}

impl Answer {
    pub(crate) fn new(status: u16, title: &'static str, message: impl Into<String>) -> Self {
        Self { status, title, message: message.into(), url: None, json: None, headers: Vec::new() }
    }

    /// Leads a browser elsewhere.
    pub(crate) fn redirect(to: String) -> Self {
        let answer = Self::new(302, "Moved", "");
        Self { headers: vec![("location", to)], ..answer }
    }

    #[must_use]
    pub(crate) fn with_url(self, url: String) -> Self {
        Self { url: Some(url), ..self }
    }

    #[must_use]
    pub(crate) fn with_json(self, json: serde_json::Value) -> Self {
        Self { json: Some(json), ..self }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn body(&self, reader: Reader) -> (&'static str, String) {
        if self.status == 302 {
            return ("text/plain; charset=utf-8", String::new());
        }
        if let Some(json) = &self.json {
            return ("application/json", json.to_string());
        }
        if reader == Reader::Program {
            let mut body = json!({"error": self.title, "message": self.message});
            if let (Some(url), Some(map)) = (&self.url, body.as_object_mut()) {
                map.insert("url".to_owned(), json!(url));
            }
            return ("application/json", format!("{body}\n"));
        }
        let link = self
            .url
            .as_deref()
            .map_or_else(String::new, |url| format!("<p><a href=\"{}\">Go on at the gate</a></p>", escaped(url)));
        let (title, message) = (escaped(self.title), escaped(&self.message));
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}}\
             small{{color:gray}}</style><h1>{title}</h1><p>{message}</p>{link}\
             <p><small>Tapgate, status {}</small></p></html>\n",
            self.status
        );
        ("text/html; charset=utf-8", page)
    }

    /// Sends it. The connection is closed where a body was on its way that nobody will read.
    pub(crate) async fn send(self, session: &mut Session) -> pingora::Result<()> {
        let request = session.req_header();
        let reader = Reader::of(&request.method, &request.headers);
        if reader == Reader::Grpc {
            return self.send_grpc(session).await;
        }
        let (kind, body) = self.body(reader);
        let body = Bytes::from(body);
        let mut head = ResponseHeader::build(self.status, Some(12))?;
        head.insert_header(header::CONTENT_TYPE, kind)?;
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        head.insert_header(header::CACHE_CONTROL, "no-store")?;
        head.insert_header(header::CONTENT_SECURITY_POLICY, POLICY)?;
        head.insert_header(header::REFERRER_POLICY, "no-referrer")?;
        head.insert_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
        for (name, value) in &self.headers {
            head.append_header(*name, value.as_str())?;
        }
        if !session.is_body_empty() {
            session.set_keepalive(None);
        }
        let bodiless = body.is_empty() || session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(head), bodiless).await?;
        if !bodiless {
            session.write_response_body(Some(body), true).await?;
        }
        Ok(())
    }

    /// In gRPC's own words: a status in the head of an answer without a body ("Trailers-Only").
    async fn send_grpc(self, session: &mut Session) -> pingora::Result<()> {
        let code = match self.status {
            401 => "16",
            403 => "7",
            421 | 502..=504 => "14",
            _ => "2",
        };
        let mut text = self.message;
        if let Some(url) = self.url {
            text = format!("{text}: {url}");
        }
        let text: String =
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let mut head = ResponseHeader::build(200, Some(3))?;
        head.insert_header(header::CONTENT_TYPE, "application/grpc")?;
        head.insert_header("grpc-status", code)?;
        head.insert_header("grpc-message", text)?;
        session.write_response_header(Box::new(head), true).await
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(method: &Method, lines: &[(&'static str, &str)]) -> Reader {
        let headers = lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Reader::of(method, &headers)
    }

    #[test]
    fn only_a_person_on_the_way_to_a_page_is_led_elsewhere() {
        let get = &Method::GET;
        assert_eq!(reader(get, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]), Reader::Navigation);
        assert_eq!(reader(get, &[("accept", "text/html,*/*")]), Reader::Navigation);
        assert_eq!(reader(get, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]), Reader::Page);
        assert_eq!(reader(&Method::POST, &[("sec-fetch-mode", "navigate")]), Reader::Page);
        for program in [
            &[("sec-fetch-mode", "cors"), ("accept", "text/html")][..],
            &[("accept", "*/*")],
            &[],
            &[("sec-fetch-mode", "websocket"), ("upgrade", "websocket")],
            &[("accept", "text/html"), ("upgrade", "websocket")],
        ] {
            assert_eq!(reader(get, program), Reader::Program, "{program:?}");
        }
        assert_eq!(reader(&Method::POST, &[("content-type", "application/grpc+proto")]), Reader::Grpc);
    }

    #[test]
    fn words_of_others_are_no_markup() {
        let answer = Answer::new(502, "No", "<script>\"'&").with_url("https://a/?b=\"><c".to_owned());
        let (_, page) = answer.body(Reader::Page);
        assert!(page.contains("&lt;script&gt;&quot;&#39;&amp;") && page.contains("b=&quot;&gt;&lt;c"), "{page}");
    }
}
