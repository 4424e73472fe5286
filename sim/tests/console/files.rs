//! Files that are put on a running device, and what its portal serves then.

use sim::person::Answer;

use super::*;

/// The device's access point is open: nothing is stored.
async fn open(device: &SimDevice<'_>) {
    device
        .until(secs(10), "in its portal", |shown| shown.portal)
        .await;
}

async fn get(device: &SimDevice<'_>, path: &str) -> Answer {
    device.person().get(path).await.expect("an answer")
}

/// The answer without its first line, which is the same for all.
async fn put(device: &SimDevice<'_>, typed: &str) -> String {
    let answer = device.ask(&format!("put www/{typed}\r.")).await;
    let (_, told) = answer.split_once("a single .\n").expect("the first line");
    told.to_owned()
}

#[test]
fn a_file_is_served_from_the_moment_it_is_put_until_it_is_removed() {
    story(async |_, device| {
        open(device).await;
        let page = get(device, "/").await;
        assert_eq!(get(device, "/css/a.css").await.status, 404);
        let told = put(device, "css/a.css\rbody {\r  color: red\r}").await;
        assert_eq!(told, "22 bytes\nok\n");

        let served = get(device, "/css/a.css").await;
        assert_eq!(
            (served.status, served.text()),
            (200, "body {\n  color: red\n}\n".into())
        );
        for (header, value) in [
            ("Content-Type", "text/css; charset=utf-8"),
            ("Content-Length", "22"),
            ("Cache-Control", "no-cache"),
        ] {
            assert_eq!(served.header(header), Some(value));
        }
        let tag = served.header("ETag").expect("a tag").to_owned();
        let known = [("If-None-Match", tag.as_str())];
        let person = device.person();
        let again = person.request("GET", "/css/a.css", &known, b"").await;
        let again = again.expect("an answer");
        assert_eq!((again.status, again.body.len()), (304, 0));
        let head = person.request("HEAD", "/css/a.css", &[], b"").await;
        let head = head.expect("an answer");
        assert_eq!((&head.headers, head.body.len()), (&served.headers, 0));
        let posted = person.request("POST", "/css/a.css", &[], b"").await;
        assert_eq!(posted.expect("an answer").status, 405);

        // It goes before a packed one, and an index.html before the page, but not at its own address.
        assert_eq!(get(device, "/packed.txt").await.text(), "packed");
        put(device, "packed.txt\rput").await;
        assert_eq!(get(device, "/packed.txt").await.text(), "put\n");
        put(device, "docs/index.html base64 3\rPHA+").await;
        assert_eq!(get(device, "/docs/").await.text(), "<p>");
        put(device, "index.html\r<h1>Lamp</h1>").await;
        let index = get(device, "/").await;
        assert_eq!(index.text(), "<h1>Lamp</h1>\n");
        assert_eq!(
            index.header("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(get(device, "/setup").await.body, page.body);
        let form = [("ssid", "Nowhere"), ("password", "12345678")];
        let joined = person
            .post_form("/connect", &form)
            .await
            .expect("an answer");
        assert_eq!(joined.header("Location"), Some("/setup"));

        let answer = device.ask("files").await;
        assert!(
            answer.ends_with(
                "> files\npacked packed.txt 6 bytes\npacked docs/index.html 6 bytes\nput css/a.css 22 bytes\n\
                 put packed.txt 4 bytes\nput docs/index.html 3 bytes\nput index.html 14 bytes\nok\n"
            ),
            "{answer}"
        );
        device.cut_power();
        boots(device, 2).await;
        open(device).await;
        assert_eq!(
            get(device, "/css/a.css").await.header("ETag"),
            Some(&tag[..])
        );

        assert!(
            device
                .ask("remove www/packed.txt")
                .await
                .ends_with("> remove www\nok\n")
        );
        assert_eq!(get(device, "/packed.txt").await.text(), "packed");
        let answer = device.ask("remove www/packed.txt").await;
        assert!(
            answer.ends_with("\nerror: no such file was put: files lists them\n"),
            "{answer}"
        );
        assert!(
            device
                .ask("remove www/index.html")
                .await
                .ends_with("\nok\n")
        );
        assert_eq!(get(device, "/").await.body, page.body);
        device.ask("factory reset yes").await;
        boots(device, 3).await;
        open(device).await;
        assert_eq!(get(device, "/css/a.css").await.status, 404);
        assert!(!device.flash.contains(b"color: red"));
    });
}

#[test]
fn a_file_of_16_kb_is_put_and_one_byte_more_is_refused() {
    story(async |_, device| {
        open(device).await;
        // Base64 of 768 zeros, in one line: a piece.
        let line = format!("{}\r", "A".repeat(1_024));
        let whole = line.repeat(21);
        let told = put(
            device,
            &format!("a.bin base64 16384\r{whole}{}==", "A".repeat(342)),
        )
        .await;
        assert!(told.starts_with("768 bytes\n1536 bytes\n"), "{told}");
        assert!(told.ends_with("\n16128 bytes\n16384 bytes\nok\n"), "{told}");
        let served = get(device, "/a.bin").await;
        assert_eq!(served.body, [0; 16_384]);
        assert_eq!(
            served.header("Content-Type"),
            Some("application/octet-stream")
        );
        let told = put(
            device,
            &format!("a.bin base64\r{whole}{}=", "A".repeat(343)),
        )
        .await;
        assert!(
            told.contains("\nerror: the file is longer than 16384 bytes"),
            "{told}"
        );
        assert_eq!(get(device, "/a.bin").await.body.len(), 16_384);
    });
}

#[test]
fn no_path_reaches_anything_else_in_the_store() {
    story(async |_, device| {
        open(device).await;
        join_home(device).await;
        put(device, "a.txt\rhello").await;
        device.ask("portal").await;
        open(device).await;
        for key in [
            "www",
            "www/0",
            "www/0/0",
            "0",
            "0/0",
            "wifi/0",
            "config.toml",
            "config.new",
            "wifi.json",
            "secret/mqtt.password",
            "secret/access_point",
            "app/count",
            "!format",
            "vault",
            "a.txt/0",
        ] {
            for path in [
                format!("/{key}"),
                format!("/www/{key}"),
                format!("/a.txt/../{key}"),
                format!("/..%2f{key}"),
                format!("/%2e%2e/{key}"),
            ] {
                let answer = get(device, &path).await;
                assert_eq!(answer.status, 404, "{path}: {}", answer.text());
            }
            let answer = device.ask(&format!("remove www/{key}")).await;
            assert!(
                answer.contains("\nerror: ") || answer.starts_with("error: "),
                "{answer}"
            );
        }
        assert!(
            device
                .ask("networks")
                .await
                .contains("stored \"Home\" proven")
        );
    });
}

#[test]
fn a_power_cut_while_a_file_is_put_leaves_the_old_one_or_the_new_one() {
    let text = |word: &str| format!("{word}\r").repeat(300);
    let image = boot(&[], async |device| {
        put(device, &format!("a.txt\r{}", text("old").trim_end())).await;
    });
    let typed = format!("put www/a.txt\r{}.\r", text("newer"));
    let look = async |device: &SimDevice<'_>| {
        open(device).await;
        let files = device.ask("files").await;
        assert_eq!(files.matches("put ").count(), 1, "{files}");
        get(device, "/a.txt").await.text()
    };
    let shown = cut_everywhere(&image, &typed, look);
    assert_old_then_new(&shown, &"old\n".repeat(300), &"newer\n".repeat(300));
}
