use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Full};

use crate::middleware::ResponseBody;

#[tokio::test]
async fn a_body_of_our_own_knows_its_length_and_its_end() {
    let mut body = ResponseBody::<Full<Bytes>>::own("why\n".to_owned());
    assert_eq!(body.size_hint().exact(), Some(4));
    assert!(!body.is_end_stream());
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "why\n");
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[test]
fn an_empty_body_has_ended_before_it_begins() {
    let body = ResponseBody::<Full<Bytes>>::own(String::new());
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
}

#[test]
fn an_inner_body_is_unchanged() {
    let body = ResponseBody::inner(Full::<Bytes>::from("hello"));
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());
}
