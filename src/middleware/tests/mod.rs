mod route;
mod service;
