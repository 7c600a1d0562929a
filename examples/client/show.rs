//! The output: messages on standard output, everything else on standard error.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use http::Response;
use hyper_ws::error::CloseCause;
use hyper_ws::{CloseCode, Message};

pub(crate) struct Show {
    binary: bool,
    json: bool,
    output: Device,
    errors: Device,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Device {
    /// A terminal.
    Terminal { colours: bool },
    /// A file or another program.
    Pipe,
}

impl Device {
    fn of(device: &impl IsTerminal) -> Self {
        if device.is_terminal() {
            // https://no-color.org
            let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Device::Terminal { colours }
        } else {
            Device::Pipe
        }
    }

    fn coloured(self, colour: u8, text: &str) -> String {
        match self {
            Device::Terminal { colours: true } => format!("\x1b[{colour}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const GREY: u8 = 90;

impl Show {
    pub(crate) fn new(binary: bool, json: bool) -> Self {
        Show {
            binary,
            json,
            output: Device::of(&io::stdout()),
            errors: Device::of(&io::stderr()),
        }
    }

    /// Shows a received message.
    pub(crate) fn message(&self, message: &Message) -> io::Result<()> {
        let mut output = io::stdout().lock();
        match message {
            Message::Binary(bytes) if self.binary && self.output == Device::Pipe => {
                output.write_all(bytes)?;
            }
            Message::Binary(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let text = format!("{} bytes: {digits}", bytes.len());
                writeln!(output, "{}", self.output.coloured(GREEN, &text))?;
            }
            Message::Text(text) => {
                let pretty = self.json.then(|| pretty(text)).flatten();
                let text = pretty.as_deref().unwrap_or(text);
                match self.output {
                    Device::Pipe => writeln!(output, "{text}")?,
                    // Control characters of the server must not reach the terminal.
                    terminal => {
                        let safe: String = text.chars().map(visible).collect();
                        writeln!(output, "{}", terminal.coloured(GREEN, &safe))?;
                    }
                }
            }
        }
        output.flush()
    }

    /// Shows the server's response to the handshake.
    pub(crate) fn response(&self, response: &Response<()>) {
        self.notice(&format!("{:?} {}", response.version(), response.status()));
        for (name, value) in response.headers() {
            let value = value.as_bytes().escape_ascii();
            self.notice(&format!("{name}: {value}"));
        }
    }

    pub(crate) fn notice(&self, text: &str) {
        eprintln!("{}", self.errors.coloured(GREY, text));
    }

    pub(crate) fn error(&self, error: &(dyn Error + 'static)) {
        eprintln!("{}", self.errors.coloured(RED, &super::chain(error)));
    }

    /// Shows how the conversation ended; returns whether that is a success.
    pub(crate) fn end(&self, cause: CloseCause) -> ExitCode {
        let good = match &cause {
            CloseCause::Local(_) => true,
            CloseCause::Remote(None) => true,
            CloseCause::Remote(Some(frame)) => {
                frame.code == CloseCode::NORMAL || frame.code == CloseCode::GOING_AWAY
            }
            _ => false,
        };
        let colour = if good { GREY } else { RED };
        eprintln!("{}", self.errors.coloured(colour, &cause.to_string()));
        if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn pretty(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

fn visible(it: char) -> char {
    match it {
        '\n' | '\t' => it,
        it if it.is_control() => char::REPLACEMENT_CHARACTER,
        it => it,
    }
}
