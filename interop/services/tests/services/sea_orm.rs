//! SeaORM with tokio's context.

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectOptions, Database, Schema, Set};

use crate::at_once;

#[allow(unreachable_pub, reason = "the derived types are public")]
mod note {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "note")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[runtime::test(tokio)]
async fn tasks_share_a_pool_and_a_transaction_is_rolled_back() {
    // A database in memory belongs to one connection.
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let database = Database::connect(options).await.unwrap();
    let backend = database.get_database_backend();
    let create = Schema::new(backend).create_table_from_entity(note::Entity);
    database.execute(backend.build(&create)).await.unwrap();
    let ids = at_once(|n| {
        let database = database.clone();
        async move {
            let text = Set(format!("note {n}"));
            let note = note::ActiveModel {
                text,
                ..Default::default()
            };
            note.insert(&database).await.unwrap().id
        }
    });
    assert_eq!(ids.await.len(), 32);
    let transaction = sea_orm::TransactionTrait::begin(&database).await.unwrap();
    note::Entity::delete_many()
        .exec(&transaction)
        .await
        .unwrap();
    assert_eq!(note::Entity::find().count(&transaction).await.unwrap(), 0);
    drop(transaction);
    let found = note::Entity::find().filter(note::Column::Text.eq("note 7"));
    assert_eq!(found.one(&database).await.unwrap().unwrap().text, "note 7");
    assert_eq!(note::Entity::find().count(&database).await.unwrap(), 32);
}
